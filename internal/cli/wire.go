package cli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"tillgate/link"
)

type wireCmd struct {
	Decode decodeCmd `cmd:"" help:"Explain captured bytes of a protocol, masked."`
}

type decodeCmd struct {
	Driver string `arg:"" help:"Protocol: ${drivers}."`
	Bytes  string `arg:"" help:"Hex (blanks and colons are skipped), '@FILE' for a file, or '-' for standard input."`
	Raw    bool   `help:"Take a file or standard input as raw bytes even if it looks like hex."`
}

func (decodeCmd) Help() string {
	return `What the bytes mean, and what is wrong about them. Card data is masked. Exit
status 1 when they are not valid.

    tillgate wire decode ecrvn 2f6563723f7271743d...
    tillgate wire decode ecrvn @capture.bin`
}

// maxCapture bounds what is read, in bytes.
const maxCapture = 4 << 20

func (d *decodeCmd) Run(a *app) error {
	driver, err := a.driver(d.Driver)
	if err != nil {
		return err
	}
	if driver.Explain == nil {
		return fmt.Errorf("the driver %s cannot explain bytes", driver.Name)
	}
	b, err := d.read(a)
	if err != nil {
		return err
	}
	if err := driver.Explain(a.Out, b); err != nil {
		return fmt.Errorf("not valid: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

func (d *decodeCmd) read(a *app) ([]byte, error) {
	var b []byte
	var err error
	file, named := strings.CutPrefix(d.Bytes, "@")
	switch {
	case d.Bytes == "-":
		b, err = io.ReadAll(io.LimitReader(a.In, maxCapture+1))
	case named:
		var f *os.File
		if f, err = os.Open(file); err == nil {
			defer f.Close()
			b, err = io.ReadAll(io.LimitReader(f, maxCapture+1))
		}
	default:
		b, err = unhex(d.Bytes)
		if err != nil {
			return nil, &exit{exitUsage, "the bytes are not hex: give an even number of hex digits, @FILE or -"}
		}
		return b, nil
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the bytes: %w", err)
	case len(b) > maxCapture:
		return nil, fmt.Errorf("read the bytes: more than %d MiB", maxCapture>>20)
	case !d.Raw:
		if text, err := unhex(string(b)); err == nil && len(text) > 0 {
			return text, nil
		}
	}
	return b, nil
}

// unhex reads hex digits in pairs; blanks, line breaks, colons and a leading 0x
// do not count.
func unhex(s string) ([]byte, error) {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n:", r) {
			return -1
		}
		return r
	}, strings.TrimPrefix(s, "0x"))
	if len(s) > 2*maxCapture {
		return nil, errors.New("too long")
	}
	return hex.DecodeString(s)
}

func (a *app) driver(name string) (link.Driver, error) {
	i := slices.IndexFunc(a.drivers, func(d link.Driver) bool { return d.Name == name })
	if i < 0 {
		return link.Driver{}, &exit{exitUsage, fmt.Sprintf("there is no driver %q; there are: %s", name, strings.Join(names(a.drivers), ", "))}
	}
	return a.drivers[i], nil
}
