package firmware

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Version is "v1.2.3", or "v1.2.3-rc.1", which is before it (Semantic
// Versioning 2.0.0). What follows a plus sign does not count for the order.
type Version string

var versionForm = regexp.MustCompile(`^v(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z.-]+)?$`)

const maxVersion = 64 // bytes

// Check refuses what is no version. A version becomes a folder's name.
func (v Version) Check() error {
	if len(v) > maxVersion || !versionForm.MatchString(string(v)) {
		return fmt.Errorf("version %.80q: want one like v1.2.3 or v1.2.3-rc.1", string(v))
	}
	return nil
}

// Compare is negative if v is older than w. A text that is no version, such as
// that of a development build, is older than every version.
func (v Version) Compare(w Version) int {
	if vok, wok := v.Check() == nil, w.Check() == nil; !vok || !wok {
		switch {
		case vok:
			return 1
		case wok:
			return -1
		}
		return 0
	}
	a, apre := v.parts()
	b, bpre := w.parts()
	for i := range a {
		if c := cmp.Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	switch {
	case apre == bpre:
		return 0
	case apre == "":
		return 1
	case bpre == "":
		return -1
	}
	return comparePre(strings.Split(apre, "."), strings.Split(bpre, "."))
}

func (v Version) parts() (numbers [3]int, pre string) {
	core, _, _ := strings.Cut(string(v[1:]), "+")
	core, pre, _ = strings.Cut(core, "-")
	for i, text := range strings.SplitN(core, ".", 3) {
		numbers[i], _ = strconv.Atoi(text) // its form is checked
	}
	return numbers, pre
}

// comparePre: numbers by value, before words; fewer fields before more.
func comparePre(a, b []string) int {
	for i := range min(len(a), len(b)) {
		n, aerr := strconv.ParseUint(a[i], 10, 64)
		m, berr := strconv.ParseUint(b[i], 10, 64)
		c := 0
		switch {
		case aerr == nil && berr == nil:
			c = cmp.Compare(n, m)
		case aerr == nil:
			c = -1
		case berr == nil:
			c = 1
		default:
			c = cmp.Compare(a[i], b[i])
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}
