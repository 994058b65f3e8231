package simulate

import "hash/crc32"

// Number spreads the names of terminals over 0 to below-1, so that two of
// different names have serial numbers of their own; below must be positive, and
// large, since names that meet are one terminal. No name is 0.
func Number(name string, below int) int {
	if name == "" {
		return 0
	}
	return int(crc32.ChecksumIEEE([]byte(name)) % uint32(below))
}
