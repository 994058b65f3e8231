package command_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"tillgate/internal/command"
)

type table struct {
	Socket string `help:"Socket." env:"COMMAND_TEST_SOCKET" default:"/run/x" placeholder:"PATH"`

	Pay  payTable  `cmd:"" group:"Money" help:"Charge a card."`
	Book bookTable `cmd:"" group:"Box" help:"Look things up."`
	Mute muteTable `cmd:"" hidden:"" help:"Nobody asks for this."`
}

type common struct {
	FulfilWithin time.Duration `help:"How long."`
	Verbose      bool          `short:"v" help:"More."`
	Loud         bool          `short:"l" help:"Much more."`
}

type payTable struct {
	Amount string `arg:"" help:"Amount: one of ${kinds}."`
	Note   string `arg:"" optional:"" help:"Note."`
	common
	Script []string `help:"Steps." short:"s" default:"one,two" placeholder:"STEP"`
	Header []string `sep:"none" help:"As it stands."`
	Form   string   `enum:"long,short" default:"long" help:"${enum}."`
	PTY    bool     `name:"pty" xor:"line" help:"A."`
	TCP    string   `name:"tcp" xor:"line" help:"B."`
	Far    farTable `embed:"" group:"Elsewhere"`
	hidden int
}

func (payTable) Help() string {
	return "A paragraph that is long enough to be cut, with words of ordinary length in it.\n\n    kept   as it is\n\nAnother."
}

type farTable struct {
	Where string `help:"Where." placeholder:"URL"`
}

type bookTable struct {
	List listTable `cmd:"" default:"withargs" help:"List."`
	Show showTable `cmd:"" help:"Show."`
}

type listTable struct {
	Limit int    `default:"50" help:"Most."`
	From  uint64 `help:"First."`
}

type showTable struct {
	IDs []string `arg:"" name:"id" help:"Ids."`
	Key string   `required:"" help:"Key." placeholder:"FILE"`
	All bool     `required:"" help:"All."`
}

type muteTable struct{}

func parse(t *testing.T, line string) (*table, *command.Call, error) {
	t.Helper()
	var into table
	p, err := command.New("prog", "Does things.", &into, map[string]string{"kinds": "coins, notes"})
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	if line != "" {
		args = strings.Split(line, " ")
	}
	call, err := p.Parse(args)
	return &into, call, err
}

func TestParse(t *testing.T) {
	usual := payTable{Amount: "5", Script: []string{"one", "two"}, Form: "long"}
	with := func(change func(*payTable)) payTable { p := usual; change(&p); return p }
	for _, c := range []struct {
		line string
		want payTable
	}{
		{"pay 5", usual},
		{"pay 5 gift", with(func(p *payTable) { p.Note = "gift" })},
		{"pay 5 -", with(func(p *payTable) { p.Note = "-" })},
		{"pay -- 5 -x", with(func(p *payTable) { p.Note = "-x" })},
		{"pay -- 5 --", with(func(p *payTable) { p.Note = "--" })},
		{"pay --fulfil-within 90s 5", with(func(p *payTable) { p.FulfilWithin = 90 * time.Second })},
		{"pay --fulfil-within=-1s 5", with(func(p *payTable) { p.FulfilWithin = -time.Second })},
		{"pay -vl 5", with(func(p *payTable) { p.Verbose, p.Loud = true, true })},
		{"pay --verbose=false 5", usual},
		{"pay -s a,b 5 --script c", with(func(p *payTable) { p.Script = []string{"a", "b", "c"} })},
		{"pay -vsa 5", with(func(p *payTable) { p.Verbose, p.Script = true, []string{"a"} })},
		{`pay -s=a\,b,c\\,\d 5`, with(func(p *payTable) { p.Script = []string{"a,b", `c\`, `\d`} })},
		{"pay --header a,b --header c 5", with(func(p *payTable) { p.Header = []string{"a,b", "c"} })},
		{"pay --form short 5", with(func(p *payTable) { p.Form = "short" })},
		{"pay --tcp= 5", usual},
		{"pay --where x 5", with(func(p *payTable) { p.Far.Where = "x" })},
	} {
		got, call, err := parse(t, c.line)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if call.Command != &got.Pay || call.Help {
			t.Errorf("%s: another command was taken", c.line)
		}
		if !reflect.DeepEqual(got.Pay, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.line, got.Pay, c.want)
		}
	}
}

func TestCommandThatIsMeantWhereNoneIsNamed(t *testing.T) {
	for line, want := range map[string]int{"book": 50, "book --limit 7": 7, "--socket=/y book --limit 8 --from 3": 8, "book list --limit 9": 9} {
		got, call, err := parse(t, line)
		if err != nil || call.Command != &got.Book.List || got.Book.List.Limit != want {
			t.Errorf("%s: %+v, %v", line, got.Book, err)
		}
	}
	got, call, err := parse(t, "book show a b --key=k --all")
	if err != nil || call.Command != &got.Book.Show || len(got.Book.Show.IDs) != 2 {
		t.Errorf("book show: %+v, %v", got.Book, err)
	}
}

func TestEnvironmentGoesBetweenFlagAndDefault(t *testing.T) {
	if got, _, _ := parse(t, "mute"); got.Socket != "/run/x" {
		t.Errorf("default: %q", got.Socket)
	}
	t.Setenv("COMMAND_TEST_SOCKET", "/env")
	if got, _, _ := parse(t, "mute"); got.Socket != "/env" {
		t.Errorf("environment: %q", got.Socket)
	}
	if got, _, _ := parse(t, "mute --socket /flag"); got.Socket != "/flag" {
		t.Errorf("flag: %q", got.Socket)
	}
}

func TestFaults(t *testing.T) {
	for line, want := range map[string][2]string{
		"":                        {"", `expected one of "pay", "book"`},
		"pya":                     {"", `did you mean "pay"?`},
		"mut":                     {"", "unexpected argument mut"},
		"book lst":                {"book", `did you mean "list"?`},
		"book 7":                  {"book list", "unexpected argument 7"},
		"pay":                     {"pay", `expected "<amount>"`},
		"pay 1 2 3":               {"pay", "unexpected argument 3"},
		"pay 1 --froom x":         {"pay", `unknown flag --froom, did you mean "--form"?`},
		"pay 1 --limit 3":         {"pay", "unknown flag --limit"},
		"pay 1 -x":                {"pay", "unknown flag -x"},
		"pay 1 --where":           {"pay", "--where: expected a value, like --where=URL"},
		"pay 1 --where --pty":     {"pay", "is written --where=--pty"},
		"pay 1 --form none":       {"pay", `--form must be one of "long","short" but got "none"`},
		"pay 1 --fulfil-within 9": {"pay", "like 300ms, 90s or 5m"},
		"pay 1 --verbose=perhaps": {"pay", "not true or false"},
		"pay 1 --tcp x --pty":     {"pay", "--pty and --tcp can't be used together"},
		"book --limit many":       {"book list", "not a whole number"},
		"book --from -3":          {"book list", "expected a value but got -3"},
		"book --from=-3":          {"book list", "nought or more"},
		"book show":               {"book show", `expected "<id>"`},
		"book show a":             {"book show", "missing flags: --key=FILE, --all"},
		"book show --help-me a":   {"book show", "unknown flag --help-me"},
		"pay 1 --socket=":         {"", ""},
		"pay 1 --socket=\x00\xff": {"", ""},
		"pay --amount 1":          {"pay", "unknown flag --amount"},
		"book show a -- --key k":  {"book show", "missing flags"},
		"pay 1 --form= --tcp=":    {"pay", "must be one of"},
	} {
		_, _, err := parse(t, line)
		if want[1] == "" {
			if err != nil {
				t.Errorf("%q: %v", line, err)
			}
			continue
		}
		e, ok := errors.AsType[*command.Error](err)
		if !ok || e.Command != want[0] || !strings.Contains(e.Error(), want[1]) {
			t.Errorf("%q: got %v, want %v", line, err, want)
		}
	}
}

func TestHelp(t *testing.T) {
	for line, want := range map[string]string{
		"pay 1 --form -h": "", // a value is missing
		"pay -vh --nonsense": `Usage: prog pay <amount> [<note>] [flags]

Charge a card.

A paragraph that is long enough to be cut, with
words of ordinary length in it.

    kept   as it is

Another.

Arguments:
  <amount>    Amount: one of coins, notes.
  [<note>]    Note.

Flags:
  -h, --help               Show context-sensitive
                           help.
      --socket=PATH        Socket
                           ($COMMAND_TEST_SOCKET).

      --fulfil-within=FULFIL-WITHIN
                           How long.
  -v, --verbose            More.
  -l, --loud               Much more.
  -s, --script=STEP,...    Steps.
      --header=HEADER      As it stands.
      --form="long"        long,short.
      --pty                A.
      --tcp=TCP            B.

Elsewhere
  --where=URL    Where.
`,
		"--help": `Usage: prog <command> [flags]

Does things.

Flags:
  -h, --help           Show context-sensitive help.
      --socket=PATH    Socket
                       ($COMMAND_TEST_SOCKET).

Money
  pay    Charge a card.

Box
  book list    List.
  book show    Show.

Run "prog <command> --help" for more information on a command.
`,
		"book show --help": `Usage: prog book show --key=FILE --all <id> ... [flags]

Show.

Arguments:
  <id> ...    Ids.

Flags:
  -h, --help           Show context-sensitive help.
      --socket=PATH    Socket
                       ($COMMAND_TEST_SOCKET).

      --key=FILE       Key.
      --all            All.
`,
		"book -h": `Usage: prog book <command> [flags]

Look things up.

Flags:
  -h, --help           Show context-sensitive help.
      --socket=PATH    Socket
                       ($COMMAND_TEST_SOCKET).

Box
  book list    List.
  book show    Show.
`,
	} {
		var into table
		p, err := command.New("prog", "Does things.", &into, map[string]string{"kinds": "coins, notes"})
		if err != nil {
			t.Fatal(err)
		}
		call, err := p.Parse(strings.Split(line, " "))
		if want == "" {
			if err == nil {
				t.Errorf("%s: it was taken", line)
			}
			continue
		}
		if err != nil || !call.Help {
			t.Fatalf("%s: %v", line, err)
		}
		var out strings.Builder
		if err := p.Help(&out, call, 52); err != nil {
			t.Fatal(err)
		}
		if out.String() != want {
			t.Errorf("%s: got\n%s\nwant\n%s", line, out.String(), want)
		}
	}
}

func TestFaultsOfTheTable(t *testing.T) {
	for name, bad := range map[string]any{
		"a tag that is not known": &struct {
			Run struct{} `comand:"" help:"x\"y"`
		}{},
		"a type that nobody can type": &struct{ F float32 }{},
		"a default that is no choice": &struct {
			F string `enum:"a,b" default:"c"`
		}{},
		"a default that cannot be read": &struct {
			F int `default:"x"`
		}{},
		"a fault in a command's command": &struct {
			A struct {
				B struct{ C chan int } `cmd:""`
			} `cmd:""`
		}{},
	} {
		if _, err := command.New("prog", "", bad, nil); err == nil {
			t.Errorf("%s goes unnoticed", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"pay 5", "pay -vsa 5", `pay -s=a\,b`, "book --limit 3", "book show a --key=k --all", "-h", "--", "pay -- -"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got, call, err := parse(t, line)
		switch {
		case err != nil && call != nil:
			t.Errorf("%q: both a call and %v", line, err)
		case err == nil && !call.Help && call.Command == any(&got.Pay) && got.Pay.Form != "long" && got.Pay.Form != "short":
			t.Errorf("%q: the choice is %q", line, got.Pay.Form)
		}
	})
}
