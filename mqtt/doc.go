// Package mqtt is Tillgate's edge towards controllers and the uplink: commands
// in, replies, events and retained state out, over MQTT 3.1.1.
package mqtt
