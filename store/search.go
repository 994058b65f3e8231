package store

import "slices"

// find looks h up in sorted hashes and returns its index, or -1. Hashes are
// spread evenly, so the place of one can be computed; a few steps of
// interpolation replace a dozen of bisection, which matters since every segment
// of the history is asked at every Begin.
func find[T uint32 | uint64](sorted []T, h T) int {
	lo, hi := 0, len(sorted)-1
	for probes := 0; lo <= hi && h >= sorted[lo] && h <= sorted[hi]; probes++ {
		if sorted[lo] == sorted[hi] || probes == 8 { // uneven after all: bisect
			i, ok := slices.BinarySearch(sorted[lo:hi+1], h)
			if !ok {
				return -1
			}
			return lo + i
		}
		i := lo + int(float64(h-sorted[lo])/float64(sorted[hi]-sorted[lo])*float64(hi-lo))
		i = min(max(i, lo), hi)
		switch {
		case sorted[i] == h:
			for i > 0 && sorted[i-1] == h {
				i--
			}
			return i
		case sorted[i] < h:
			lo = i + 1
		default:
			hi = i - 1
		}
	}
	return -1
}
