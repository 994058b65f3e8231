package config

import (
	"log/slog"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Config is the whole file. [Load] fills in the defaults; the zero value is
// not a valid configuration.
type Config struct {
	Box     string `yaml:"box" jsonschema:"required,pattern=^[A-Za-z0-9_-]{1\\,64}$" jsonschema_description:"Name of this box, unique among all that share a broker: letters, digits, '-' and '_'."`
	Data    string `yaml:"data" jsonschema_description:"Folder of the journal. It must survive a power cut: no memory file system."`
	Runtime string `yaml:"runtime" jsonschema_description:"Folder for the control socket and the embedded broker's queue; memory will do."`
	Socket  string `yaml:"socket" jsonschema_description:"Unix socket for the command line, mode 0660. Default: tillgate.sock in the runtime folder."`
	Log     Log    `yaml:"log" jsonschema_description:"What is logged to standard error."`
	Clock   string `yaml:"clock" jsonschema:"enum=auto,enum=synced,enum=unsynced" jsonschema_description:"auto asks the kernel whether the clock is synchronised; synced and unsynced say so."`

	Retention   Duration `yaml:"retention" jsonschema_description:"How long payments are kept, by a synchronised clock, at least one day."`
	IDWindow    Duration `yaml:"id_window" jsonschema_description:"An id older than this is refused instead of being answered as known. Not longer than the retention."`
	MaxSegments int      `yaml:"max_segments" jsonschema:"minimum=2,maximum=4096" jsonschema_description:"At most this many journal files. At the bound the oldest goes, also when an uplink has not had its events."`
	SegmentSize Bytes    `yaml:"segment_size" jsonschema_description:"Size of one journal file, allocated in full when it is begun."`

	MQTT            MQTT       `yaml:"mqtt" jsonschema_description:"Where commands come from and events go to."`
	Notify          Notify     `yaml:"notify" jsonschema_description:"The listener for services that tell by themselves what became of a transaction."`
	PowerFail       string     `yaml:"power_fail" jsonschema_description:"GPIO line that is active while the box runs on its battery, like GPIO4 or !gpiochip0:4 (active low). Nothing is sold meanwhile. Default: none."`
	AllowSimulation bool       `yaml:"allow_simulation" jsonschema_description:"Allow sim:// terminals beside real ones. Never in a shop."`
	Terminals       []Terminal `yaml:"terminals" jsonschema:"required,minItems=1,maxItems=32" jsonschema_description:"The card terminals of this box."`

	// File is where it was read from, for errors and for doctor.
	File string `yaml:"-"`

	// Absent is what is wrong with the files that terminals need, such as a key.
	// It is no reason not to start: the others sell, and the file may still come.
	Absent Problems `yaml:"-"`
}

// Log says what is logged, and how.
type Log struct {
	Level  string `yaml:"level" jsonschema:"enum=debug,enum=info,enum=warn,enum=error" jsonschema_description:"Least important level that is logged."`
	Format string `yaml:"format" jsonschema:"enum=text,enum=json" jsonschema_description:"One line of text or one JSON object for each entry."`
}

// MQTT is the edge towards controllers and the uplink.
type MQTT struct {
	Broker       Broker        `yaml:"broker" jsonschema_description:"The broker inside this box."`
	Destinations []Destination `yaml:"destinations" jsonschema:"maxItems=8" jsonschema_description:"Brokers elsewhere. Each has its own cursor in the outbox."`
}

// Broker is the embedded broker.
type Broker struct {
	Enabled      *bool  `yaml:"enabled" jsonschema_description:"Run the embedded broker. Default: true as long as no destination is configured."`
	Address      string `yaml:"address" jsonschema_description:"Host and port it listens on. Keep it on loopback."`
	Username     string `yaml:"username" jsonschema_description:"User for the controllers of this box."`
	PasswordFile string `yaml:"password_file" jsonschema_description:"File with that user's password. Without one, a password is made at the first start and kept in the data folder."`

	Password Secret `yaml:"-"` // from PasswordFile
}

// Destination is one broker that gets the events, and may give commands.
type Destination struct {
	Name         string `yaml:"name" jsonschema:"required,pattern=^[A-Za-z0-9_-]{1\\,64}$" jsonschema_description:"Names its cursor in the journal; a new name starts a new cursor."`
	URL          string `yaml:"url" jsonschema:"required" jsonschema_description:"mqtt://host:1883 or mqtts://host:8883. No password in it."`
	Username     string `yaml:"username" jsonschema_description:"User at that broker."`
	PasswordFile string `yaml:"password_file" jsonschema_description:"File with the user's password."`
	Commands     bool   `yaml:"commands" jsonschema_description:"Take commands from this broker. Only where everybody who may publish there may charge cards."`
	TLS          TLS    `yaml:"tls" jsonschema_description:"Certificates, for mqtts."`
}

// TLS names the files of a TLS client.
type TLS struct {
	CA         string `yaml:"ca_file" jsonschema_description:"Certificates to trust, PEM. Default: those of the system."`
	Cert       string `yaml:"cert_file" jsonschema_description:"Client certificate, PEM. Needs key_file."`
	Key        string `yaml:"key_file" jsonschema_description:"Private key of the client certificate, PEM. Only its owner may read it."`
	ServerName string `yaml:"server_name" jsonschema_description:"Name the broker's certificate must have. Default: the host of the url."`
}

// Terminal is one card terminal.
type Terminal struct {
	Name      string    `yaml:"name" jsonschema:"required,pattern=^[A-Za-z0-9_-]{1\\,64}$" jsonschema_description:"Name in commands and topics: letters, digits, '-' and '_'."`
	Driver    string    `yaml:"driver" jsonschema:"required" jsonschema_description:"Protocol the terminal speaks."`
	Address   string    `yaml:"address" jsonschema:"required" jsonschema_description:"Where it is: serial:///dev/serial/by-id/..., tcp://host:port, http://host/path, https://host/path, usb://..., or sim://driver."`
	Currency  string    `yaml:"currency" jsonschema:"required,pattern=^[A-Z]{3}$" jsonschema_description:"ISO 4217 code the terminal works in."`
	MaxAmount Amount    `yaml:"max_amount" jsonschema:"required" jsonschema_description:"Largest amount of one payment, in the major unit. More is refused."`
	DailyCap  Amount    `yaml:"daily_cap" jsonschema_description:"Largest sum of the payments of one day, in the major unit. Default: none."`
	Device    string    `yaml:"device" jsonschema_description:"Names the physical device where two terminals share one. Default: the address."`
	Longest   Duration  `yaml:"longest" jsonschema_description:"How long a payment can last on this terminal: card wait, PIN and bank together. Until then nobody says 'not found'."`
	Timeout   Duration  `yaml:"timeout" jsonschema_description:"How long a customer has to present a card, where a command does not say."`
	Heartbeat Duration  `yaml:"heartbeat" jsonschema_description:"How often an idle terminal is asked whether it is still there."`
	Partial   string    `yaml:"partial" jsonschema:"enum=reverse,enum=accept" jsonschema_description:"What becomes of an approval for less than was asked."`
	Offline   string    `yaml:"offline" jsonschema:"enum=accept,enum=reverse" jsonschema_description:"What becomes of an approval that the terminal gave without its bank."`
	Reconcile Reconcile `yaml:"reconcile" jsonschema_description:"When the batch is closed without being asked. Default: never."`
	Recovery  Recovery  `yaml:"recovery" jsonschema_description:"What is done when the terminal stays away or hangs at a payment, beside opening it again and again."`
	Profile   Profile   `yaml:"profile" jsonschema_description:"Settings of the driver."`

	// What the keys above mean, filled by [Load].
	Spec     link.Driver   `yaml:"-"`
	Settings any           `yaml:"-"` // what Spec.Settings made, filled from Profile
	Max      payment.Money `yaml:"-"`
	Cap      payment.Money `yaml:"-"` // zero: none
}

// Simulated says whether the terminal has no hardware.
func (t Terminal) Simulated() bool { return scheme(t.Address) == "sim" }

// DeviceKey is what lanes of one device share: the configured name, or where the
// terminal is.
func (t Terminal) DeviceKey() string {
	a, err := link.ParseAddress(t.Address)
	switch {
	case t.Device != "":
		return t.Device
	case err != nil:
		return t.Address
	}
	return a.Device()
}

// Reconcile says when a batch is closed without being asked.
type Reconcile struct {
	At      string   `yaml:"at" jsonschema:"pattern=^([01][0-9]|2[0-3]):[0-5][0-9]$" jsonschema_description:"Time of day, local, like \"03:00\". Quote it."`
	Window  Duration `yaml:"window" jsonschema_description:"How long it is tried again while the terminal is busy or offline."`
	CatchUp bool     `yaml:"catch_up" jsonschema_description:"Make up for a missed one at the next start."`
}

// Recovery is the ladder that is climbed for a terminal that stays away, or that
// hangs at a payment.
type Recovery struct {
	Steps    []string `yaml:"steps" jsonschema:"maxItems=8,enum=drain,enum=rebind,enum=usb-reset,enum=hub-power,enum=reset,enum=relay,enum=restart-app,enum=restart" jsonschema_description:"In this order: drain what the line says, rebind the kernel's driver, usb-reset (authorisation off and on), hub-power (the hub's port off and on), reset (the address's reset= line), relay (its power= line); restart-app and restart, where the protocol has them, of the payment application and of the terminal. A terminal that answers, and hangs at a payment, is only restarted."`
	After    Duration `yaml:"after" jsonschema_description:"So long out of service before the first step."`
	Every    Duration `yaml:"every" jsonschema_description:"Between two steps: a terminal that starts anew needs its time."`
	PerDay   int      `yaml:"per_day" jsonschema:"minimum=1,maximum=100" jsonschema_description:"Most steps in 24 hours."`
	USBPort  string   `yaml:"usb_port" jsonschema_description:"Port of the USB device, like 1-1.4. Default: where it is plugged in now."`
	PowerOff Duration `yaml:"power_off" jsonschema_description:"How long relay cuts the power."`
}

// The steps of a [Recovery].
const (
	StepDrain      = "drain"
	StepRebind     = "rebind"
	StepUSBReset   = "usb-reset"
	StepHubPower   = "hub-power"
	StepReset      = "reset"
	StepRelay      = "relay"
	StepRestartApp = "restart-app"
	StepRestart    = "restart"
)

// RecoverySteps lists them, gentlest first.
func RecoverySteps() []string {
	return []string{StepDrain, StepRebind, StepUSBReset, StepHubPower, StepReset, StepRelay, StepRestartApp, StepRestart}
}

// Local says whether the embedded broker runs.
func (c Config) Local() bool {
	if c.MQTT.Broker.Enabled != nil {
		return *c.MQTT.Broker.Enabled
	}
	return len(c.MQTT.Destinations) == 0
}

// LogLevel is the level as slog has it.
func (c Config) LogLevel() slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(c.Log.Level)) != nil {
		return slog.LevelInfo
	}
	return l
}

// Default is what holds where the file says nothing.
func Default() Config {
	return Config{
		Data: "/var/lib/tillgate", Runtime: "/run/tillgate",
		Log: Log{Level: "info", Format: "text"}, Clock: "auto",
		Retention: days(400), IDWindow: days(1), SegmentSize: 16 << 20, MaxSegments: 256,
		MQTT:   MQTT{Broker: Broker{Address: "127.0.0.1:1883", Username: "kiosk"}},
		Notify: Notify{MaxBody: 256 << 10, Connections: 32},
	}
}

func (t *Terminal) setDefaults() {
	t.Longest, t.Timeout = Duration(link.DefaultLongest), Duration(payment.DefaultTimeout)
	t.Heartbeat = Duration(30 * time.Second)
	t.Partial, t.Offline = "reverse", "accept"
	t.Recovery = Recovery{
		Steps: []string{StepRestartApp, StepRestart}, After: Duration(time.Minute), Every: Duration(3 * time.Minute), PerDay: 12, PowerOff: Duration(5 * time.Second),
	}
	t.Reconcile = Reconcile{Window: Duration(2 * time.Hour), CatchUp: true}
}

func days(n int) Duration { return Duration(time.Duration(n) * 24 * time.Hour) }
