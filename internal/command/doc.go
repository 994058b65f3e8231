// Package command reads command lines by a table: a struct whose fields are
// commands, arguments and flags. It asks reflection for fields alone and never
// for methods: what looks methods up by name keeps every exported method of
// every type in the binary, which was 2 MB of it.
//
// # The table
//
// A field with the tag cmd is a command; its type is a struct with commands,
// arguments and flags of its own. A field with the tag arg is an argument, in
// the order of the struct, and any other exported field a flag. Fields of an
// embedded struct, and of one with the tag embed, belong to the outer one.
// Names are those of the fields, FulfilWithin as fulfil-within.
//
//	cmd:""              a command; default:"withargs" takes it where none is named
//	arg:""              an argument; it has to be there unless it is optional:""
//	embed:""            the fields of this struct, with its group
//	name, short         another name, and a letter
//	help, group         one sentence, and the heading it stands under
//	hidden:""           works, and is not in the help
//	default, env        the value where none is given; the environment goes first
//	placeholder         stands for the value in the help
//	enum:"a,b"          nothing else is taken
//	xor:"name"          only one of the flags with this name
//	required:""         a flag that has to be there
//	sep:"none"          a list that is not cut at commas
//
// In help, ${enum} is the list of choices, and ${name} what [New] was given for
// that name. Values are string, bool, int, uint64, time.Duration and lists of
// strings. A command with a method Help() string has more to say than one line:
// paragraphs, and lines indented by four blanks that stay as they are.
//
// # The command line
//
// Flags stand anywhere behind their command: --flag=value, --flag value, -f value,
// -fvalue, -vf. A list is cut at commas (\, is a comma in a value) and grows with
// each time. Behind -- everything is an argument.
package command
