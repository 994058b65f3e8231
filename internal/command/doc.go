// Package command makes a command line of a table: a struct whose fields are
// commands, arguments and flags. What is typed is read, completed and explained
// by cobra; this package only tells it what there is.
//
// # The table
//
// A field with the tag cmd is a command; its type is a struct with commands,
// arguments and flags of its own. A field with the tag arg is an argument, in
// the order of the struct, and any other exported field a flag. Fields of an
// embedded struct, and of one with the tag embed, belong to the outer one.
// Names are those of the fields, FulfilWithin as fulfil-within. Flags of the
// outermost struct can be given to every command.
//
//	cmd:""              a command; default:"withargs" takes it where none is named
//	arg:""              an argument; it has to be there unless it is optional:""
//	embed:""            the fields of this struct
//	name, short         another name, and a letter
//	help, group         one sentence, and the heading under which a command stands
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
// strings. A command with a method Help() string has more to say than one line.
package command
