package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"tillgate/internal/command"
	"tillgate/internal/control"
	"tillgate/link"
)

// Exit statuses, as the package comment has them.
const (
	exitOK      = 0
	exitError   = 1
	exitUsage   = 2
	exitNotPaid = 3
	exitDoubt   = 4
	exitConfig  = 78 // EX_CONFIG of sysexits.h; the unit file knows it
)

// Table is every command there is.
type Table struct {
	Socket string `help:"Socket of the running gateway. Default: the one the configuration names, then the demo's." env:"TILLGATE_SOCKET" placeholder:"PATH"`
	Config string `help:"Configuration file." env:"TILLGATE_CONFIG" default:"/etc/tillgate/tillgate.yaml" placeholder:"FILE"`

	Run         runCmd         `cmd:"" group:"Box" help:"Run the gateway."`
	Demo        demoCmd        `cmd:"" group:"Box" help:"Run everything with nothing configured, against a simulated terminal."`
	Broker      brokerCmd      `cmd:"" hidden:"" help:"Be the embedded broker; started by the gateway."`
	RecoverStep recoverStepCmd `cmd:"" hidden:"" help:"Do one step of recovery as root; started by systemd."`
	Doctor      doctorCmd      `cmd:"" group:"Box" help:"Find out why it does not work."`
	Discover    discoverCmd    `cmd:"" group:"Box" help:"Find ports and USB devices that may be terminals."`

	Pay       payCmd       `cmd:"" group:"Payments" help:"Charge a card."`
	Reverse   reverseCmd   `cmd:"" group:"Payments" help:"Take a payment back."`
	Lookup    lookupCmd    `cmd:"" group:"Payments" help:"Tell what became of a payment."`
	Abort     abortCmd     `cmd:"" group:"Payments" help:"Ask the terminal to stop waiting for a card."`
	Dispense  dispenseCmd  `cmd:"" group:"Payments" help:"Ask for the grant to give the goods."`
	Commit    commitCmd    `cmd:"" group:"Payments" help:"Tell that the goods were given."`
	Rollback  rollbackCmd  `cmd:"" group:"Payments" help:"Tell that the goods were not given: reverse."`
	Resolve   resolveCmd   `cmd:"" group:"Payments" help:"End a doubt as a person."`
	Reconcile reconcileCmd `cmd:"" group:"Terminals" help:"Close a terminal's batch."`
	Pause     pauseCmd     `cmd:"" group:"Terminals" help:"Stop selling."`
	Resume    resumeCmd    `cmd:"" group:"Terminals" help:"Sell again."`
	Status    statusCmd    `cmd:"" group:"Box" help:"Show terminals and alerts."`
	Journal   journalCmd   `cmd:"" group:"Box" help:"Search, check and copy the journal."`
	Events    eventsCmd    `cmd:"" group:"Box" help:"Show events, and follow them."`
	Contract  contractCmd  `cmd:"" group:"Workbench" help:"Print the MQTT contract as an AsyncAPI 3 document."`
	Wire      wireCmd      `cmd:"" group:"Workbench" help:"Explain captured bytes."`
	Sim       simCmd       `cmd:"" group:"Workbench" help:"Be a terminal, or a service that tells, without either."`
	Certify   certifyCmd   `cmd:"" group:"Workbench" help:"Find the profile that opens a captured notification."`
	Settings  configCmd    `cmd:"" name:"config" group:"Box" help:"Check and explain the configuration."`
	FirstBoot firstBootCmd `cmd:"" name:"firstboot" hidden:"" help:"Prepare a new box; run once by its own unit."`
	FirstLook firstLookCmd `cmd:"" name:"firstlook" hidden:"" help:"Look at a new box and tell; run once by its own unit."`
	Firmware  firmwareCmd  `cmd:"" group:"Box" help:"Update this box, and see how it went."`
	Version   versionCmd   `cmd:"" group:"Box" help:"Tell what this program is made of."`

	Refund       refundCmd       `cmd:"" group:"Payments" help:"Give money back for an earlier payment."`
	Preauthorize preauthorizeCmd `cmd:"" group:"Payments" help:"Reserve an amount on a card."`
	Complete     completeCmd     `cmd:"" group:"Payments" help:"Take what was reserved, or less."`
	CashAdvance  cashAdvanceCmd  `cmd:"" group:"Payments" help:"Give out cash for a card."`
	Deposit      depositCmd      `cmd:"" group:"Payments" help:"Pay in to a card."`
	Balance      balanceCmd      `cmd:"" group:"Payments" help:"Ask for the balance of a card."`

	Terminals terminalsCmd `cmd:"" group:"Terminals" help:"Show serial number, TID and software of the terminals, and what has changed."`
	Accept    acceptCmd    `cmd:"" group:"Terminals" help:"Accept a terminal as it is now: its software, serial number and TID."`

	Totals   totalsCmd   `cmd:"" group:"Terminals" help:"Show the totals of a terminal's open batch."`
	Diagnose diagnoseCmd `cmd:"" group:"Terminals" help:"Ask a terminal how it is."`
	Print    printCmd    `cmd:"" group:"Terminals" help:"Print a receipt, totals, the journal or a document."`
	Restart  restartCmd  `cmd:"" group:"Terminals" help:"Restart a terminal's payment application, or the terminal."`
}

// Streams are the three standard streams.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Parts is what the commands are made from.
type Parts struct {
	Drivers []link.Driver
	Version control.Version
}

// app is what a command is given.
type app struct {
	Streams
	ctx     context.Context
	drivers []link.Driver
	version control.Version
	table   *Table
}

// Main runs one command line and returns its exit status.
func Main(ctx context.Context, args []string, s Streams, p Parts) int {
	var t Table
	program, err := command.New("tillgate", "The payment gateway inside a kiosk.", &t,
		map[string]string{"drivers": strings.Join(names(p.Drivers), ", "), "notifiers": strings.Join(notifiers(p.Drivers), ", ")}, s.Out, width(s.Out))
	if err != nil {
		fmt.Fprintln(s.Err, "tillgate:", err)
		return exitError
	}
	program.Version(p.Version.Version)
	a := &app{Streams: s, ctx: ctx, drivers: p.Drivers, version: p.Version, table: &t}
	called, err := program.Parse(args)
	if e, ok := errors.AsType[*command.Error](err); ok {
		fmt.Fprintf(s.Err, "tillgate: %v\nRun `%s --help` for what there is.\n", e, e.Command)
		return exitUsage
	}
	if called == nil { // help was asked for, and written
		return exitOK
	}
	return a.report(called.(runner).Run(a))
}

// runner is what every command of the table is.
type runner interface{ Run(*app) error }

// width is how many characters a line of out has.
func width(out io.Writer) int {
	const usual = 80
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n > 0 {
		return n
	}
	if f, ok := out.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col)
		}
	}
	return usual
}

// exit is an error that has its own status; an empty text prints nothing.
type exit struct {
	code int
	text string
}

func (e *exit) Error() string { return e.text }

func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	code, text := exitError, err.Error()
	if e, ok := errors.AsType[*exit](err); ok {
		code, text = e.code, e.text
	}
	if text != "" {
		fmt.Fprintln(a.Err, "tillgate: "+text)
	}
	return code
}

func names(ds []link.Driver) []string {
	all := make([]string, len(ds))
	for i, d := range ds {
		all[i] = d.Name
	}
	return all
}
