package mqtt

// What tests outside the package look at.
type Channel struct {
	Name, Address string
	Receive       bool
	QoS           int
	Retain        bool
	Example       any
}

func Contract() (all []Channel) {
	for _, c := range contract() {
		all = append(all, Channel{c.name, c.address, c.receive, c.qos, c.retain, c.example})
	}
	return all
}

func Decode(verb string, payload []byte) (Envelope, error) { return decode(verb, payload) }
