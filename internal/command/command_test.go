package command_test

import (
	"errors"
	"io"
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
	Shop shopTable `cmd:"" group:"Box" help:"Keep a shop."`
	Mute muteTable `cmd:"" hidden:"" help:"Nobody asks for this."`
}

type shopTable struct {
	Open struct{} `cmd:"" help:"Open it."`
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
	Far    farTable `embed:""`
	_      int
}

func (payTable) Help() string { return "A paragraph.\n\n    kept   as it is" }

type farTable struct {
	Where string `help:"Where, of ${kinds}." placeholder:"URL"`
}

type bookTable struct {
	Shelf string `help:"Where they stand."`

	List listTable `cmd:"" default:"withargs" help:"List."`
	Show showTable `cmd:"" help:"Show."`
}

type listTable struct {
	Limit int    `default:"50" help:"Most."`
	From  uint64 `env:"COMMAND_TEST_FROM" help:"First."`
}

type showTable struct {
	IDs []string `arg:"" name:"id" help:"Ids."`
	Key string   `required:"" help:"Key." placeholder:"FILE"`
	All bool     `required:"" help:"All."`
}

type muteTable struct{}

func parse(t *testing.T, line string) (into *table, called any, out string, err error) {
	t.Helper()
	into = &table{}
	var written strings.Builder
	p, err := command.New("prog", "Does things.", into, map[string]string{"kinds": "coins, notes"}, &written, 60)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{}
	if line != "" {
		args = strings.Split(line, " ")
	}
	called, err = p.Parse(args)
	return into, called, written.String(), err
}

// TestParse: what is typed is in the table, and the command's struct comes back.
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
		{"pay --fulfil-within 90s 5", with(func(p *payTable) { p.FulfilWithin = 90 * time.Second })},
		{"pay --fulfil-within=-1s 5", with(func(p *payTable) { p.FulfilWithin = -time.Second })},
		{"pay -vl 5", with(func(p *payTable) { p.Verbose, p.Loud = true, true })},
		{"pay --verbose=false 5", usual},
		{"pay -s a,b 5 --script c", with(func(p *payTable) { p.Script = []string{"a", "b", "c"} })},
		{"pay -vsa 5", with(func(p *payTable) { p.Verbose, p.Script = true, []string{"a"} })},
		{"pay --header a,b --header c 5", with(func(p *payTable) { p.Header = []string{"a,b", "c"} })},
		{"pay --form short 5", with(func(p *payTable) { p.Form = "short" })},
		{"pay --tcp= 5", usual},
		{"pay --where x 5", with(func(p *payTable) { p.Far.Where = "x" })},
	} {
		got, called, _, err := parse(t, c.line)
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		if called != &got.Pay {
			t.Errorf("%s: another command was taken", c.line)
		}
		if !reflect.DeepEqual(got.Pay, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.line, got.Pay, c.want)
		}
	}
}

func TestCommandThatIsMeantWhereNoneIsNamed(t *testing.T) {
	for line, want := range map[string]int{"book": 50, "book --limit 7": 7, "--socket=/y book --limit 8 --from 3": 8, "book list --limit 9": 9, "book list --limit 6 --shelf x": 6, "book --shelf x list --limit 5": 5, "book --shelf x": 50} {
		got, called, _, err := parse(t, line)
		if err != nil || called != &got.Book.List || got.Book.List.Limit != want {
			t.Errorf("%s: %+v, %v", line, got.Book, err)
		}
	}
	got, called, _, err := parse(t, "book show a b,c --key=k --all")
	if err != nil || called != &got.Book.Show || !reflect.DeepEqual(got.Book.Show.IDs, []string{"a", "b,c"}) {
		t.Errorf("book show: %+v, %v", got.Book, err)
	}
}

func TestEnvironmentGoesBetweenFlagAndDefault(t *testing.T) {
	socket := func(line string) string {
		got, _, _, err := parse(t, line)
		if err != nil {
			t.Fatal(err)
		}
		return got.Socket
	}
	if got := socket("mute"); got != "/run/x" {
		t.Errorf("default: %q", got)
	}
	t.Setenv("COMMAND_TEST_SOCKET", "/env")
	if got := socket("mute"); got != "/env" {
		t.Errorf("environment: %q", got)
	}
	if got := socket("mute --socket /flag"); got != "/flag" {
		t.Errorf("flag: %q", got)
	}
	t.Setenv("COMMAND_TEST_FROM", "9") // run looks at what firmware is told
	if got, _, _, err := parse(t, "mute"); err != nil || got.Book.List.From != 9 {
		t.Errorf("environment of another command: %d, %v", got.Book.List.From, err)
	}
}

// TestFaults: what is typed wrongly is told with the command it was typed for.
func TestFaults(t *testing.T) {
	for line, want := range map[string][2]string{
		"pya":                     {"prog", "pay"},
		"mut":                     {"prog", `unknown command "mut"`},
		"shop opn":                {"prog shop", `unknown command "opn", did you mean "open"?`},
		"shop 7":                  {"prog shop", `unknown command "7"`},
		"help opn":                {"prog", `unknown command "opn"`},
		"help shop opn":           {"prog shop", `unknown command "opn", did you mean "open"?`},
		"help book show 7":        {"prog book show", `unknown command "7"`},
		"completion basch":        {"prog completion", `did you mean "bash"?`},
		"book lst":                {"prog book", `did you mean "list"?`},
		"book 7":                  {"prog book", `unexpected argument "7"`},
		"pay":                     {"prog pay", `expected "<amount>"`},
		"pay 1 2 3":               {"prog pay", `unexpected argument "3"`},
		"pay 1 --froom x":         {"prog pay", "unknown flag: --froom"},
		"pay 1 --limit 3":         {"prog pay", "unknown flag: --limit"},
		"pay 1 -x":                {"prog pay", "unknown shorthand flag"},
		"pay 1 --where":           {"prog pay", "needs an argument: --where"},
		"pay 1 --form none":       {"prog pay", "one of long, short"},
		"pay 1 --fulfil-within 9": {"prog pay", "like 300ms, 90s or 5m"},
		"pay 1 --verbose=perhaps": {"prog pay", "perhaps"},
		"pay 1 --tcp x --pty":     {"prog pay", "pty tcp"},
		"book --limit many":       {"prog book", "many"},
		"book --from=-3":          {"prog book", "-3"},
		"book show --key k --all": {"prog book show", `expected "<id>"`},
		"book show a":             {"prog book show", `"all", "key"`},
		"pay --amount 1":          {"prog pay", "unknown flag: --amount"},
		"pay 1 --form=":           {"prog pay", "one of"},
	} {
		_, called, _, err := parse(t, line)
		e, ok := errors.AsType[*command.Error](err)
		if !ok || called != nil || e.Command != want[0] || !strings.Contains(e.Error(), want[1]) {
			t.Errorf("%q: got %+v, want %v", line, err, want)
		}
	}
}

// TestHelp: everything that there is to a command, and nothing that is hidden.
func TestHelp(t *testing.T) {
	for line, want := range map[string][]string{
		"":                  {"Does things.", "Money\n  pay          Charge a card.", "Box\n  book         Look things up."},
		"--help":            {"Does things.", "Money\n  pay          Charge a card.", "--socket PATH", "($COMMAND_TEST_SOCKET)", "(default /run/x)", "`prog <command> --help`"},
		"help pay":          {"Usage: prog pay <amount> [<note>] [flags]"},
		"pay --help":        {"Usage: prog pay <amount> [<note>] [flags]\n\nCharge a card.\n\nA paragraph.\n\n    kept   as it is\n", "-v, --verbose", "--where URL", "of coins, notes", "long,short.", "(default", "--tcp TCP", "  <amount>      Amount: one of coins, notes.\n  [<note>]      Note.\n"},
		"book show -h":      {"Usage: prog book show <id> ... [flags]", "--key FILE"},
		"book -h":           {"list", "show"},
		"help book show":    {"Usage: prog book show <id> ... [flags]"},
		"completion bash":   {"bash completion V2 for prog"},
		"completion":        {"Usage: prog completion <command> [flags]\n\nPrint a script", "  fish         Print the script for fish.\n"},
		"completion zsh -h": {`    prog completion zsh > "${fpath[1]}/_prog"`, "Complete without descriptions."},
		"shop":              {"Usage: prog shop <command> [flags]\n\nKeep a shop.", "open"},
		"__complete book s": {"show\tShow."},
	} {
		_, called, out, err := parse(t, line)
		if err != nil || called != nil {
			t.Errorf("%s: %v, %v", line, called, err)
		}
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("%s: no %q in\n%s", line, text, out)
			}
		}
		if strings.Contains(out, "Nobody asks") {
			t.Errorf("%s: it has what is hidden:\n%s", line, out)
		}
		for l := range strings.Lines(out) {
			if len(l) > 80 && strings.HasPrefix(line, "pay") {
				t.Errorf("%s: %q is too long", line, l)
			}
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
		if _, err := command.New("prog", "", bad, nil, io.Discard, 80); err == nil {
			t.Errorf("%s goes unnoticed", name)
		}
	}
}
