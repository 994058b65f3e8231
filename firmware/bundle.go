package firmware

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"aead.dev/minisign"
)

// A bundle is one file:
//
//	offset  size
//	0       18    "tillgate-bundle-1\n"
//	18      4     length s of the signature, big-endian, at most 1024
//	22      s     minisign signature of the manifest, as minisign writes it
//	22+s    4     length m of the manifest, big-endian, at most 65536
//	26+s    m     manifest, JSON
//	26+s+m  ...   the files, in the manifest's order, with nothing between or after
//
// The signature is of the manifest alone, which has the checksum of each file.
// So nothing is parsed before it is verified, and a file is verified while it
// is copied.
const magic = "tillgate-bundle-1\n"

const maxSignature = 1024

// ErrUnsigned is wrapped by every error that says that no trusted key has
// signed a bundle.
var ErrUnsigned = errors.New("not signed by a trusted key")

// Bundle is an opened bundle whose manifest is verified.
type Bundle struct {
	Manifest  Manifest
	KeyID     string // of the key that signed it
	raw       []byte // the manifest as it was signed
	signature []byte
	body      io.Reader
}

// Open reads the head of a bundle and verifies it with keys.
func Open(r io.Reader, keys Keys) (*Bundle, error) {
	in := bufio.NewReader(io.LimitReader(r, MaxBundle))
	head := make([]byte, len(magic))
	if _, err := io.ReadFull(in, head); err != nil || string(head) != magic {
		return nil, errors.New("it is no Tillgate bundle, or one of a newer kind")
	}
	signature, err := field(in, maxSignature)
	if err != nil {
		return nil, fmt.Errorf("signature of the bundle: %w", err)
	}
	raw, err := field(in, maxManifest)
	if err != nil {
		return nil, fmt.Errorf("manifest of the bundle: %w", err)
	}
	b := &Bundle{raw: raw, signature: signature, body: in}
	if b.KeyID, err = keys.Verify(raw, signature); err != nil {
		return nil, err
	}
	b.Manifest, err = parseManifest(raw)
	return b, err
}

// field reads a length and so many bytes.
func field(r io.Reader, most uint32) ([]byte, error) {
	var n uint32
	if err := binary.Read(r, binary.BigEndian, &n); err != nil {
		return nil, unexpected(err)
	}
	if n == 0 || n > most {
		return nil, fmt.Errorf("%d bytes long, at most %d are taken", n, most)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, unexpected(err)
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the bundle is cut off: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// Copy writes the one file of the bundle to w and verifies it. What was written
// is worth nothing if it returns an error.
func (b *Bundle) Copy(w io.Writer) error {
	f := b.Manifest.Files[0]
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(b.body, f.Size))
	if err != nil {
		return fmt.Errorf("copy %s: %w", f.Name, err)
	}
	if n != f.Size {
		return fmt.Errorf("copy %s: the bundle ends after %d of %d bytes", f.Name, n, f.Size)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
		return fmt.Errorf("copy %s: its checksum is not the signed one", f.Name)
	}
	if n, _ := io.ReadFull(b.body, make([]byte, 1)); n != 0 {
		return fmt.Errorf("the bundle goes on after %s", f.Name)
	}
	return nil
}

// Make writes a bundle of file, signed with key. It fills in product, format
// and the file of m.
func Make(w io.Writer, m Manifest, file string, key minisign.PrivateKey) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("make a bundle: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("make a bundle: %w", err)
	}
	m.Product, m.Format = product, 1
	m.Files = []File{{Name: methods[m.Method], Size: n, SHA256: hex.EncodeToString(sum.Sum(nil))}}
	if err := m.check(); err != nil {
		return fmt.Errorf("make a bundle: %w", err)
	}
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("make a bundle: %w", err)
	}
	if len(raw) > maxManifest {
		return fmt.Errorf("make a bundle: the manifest has %d bytes, at most %d are taken", len(raw), maxManifest)
	}
	return write(w, minisign.SignWithComments(key, raw, "tillgate "+string(m.Version)+" for "+m.Machine, "tillgate bundle"), raw, f)
}

func write(w io.Writer, signature, manifest []byte, file io.Reader) error {
	head := []byte(magic)
	for _, b := range [][]byte{signature, manifest} {
		head = binary.BigEndian.AppendUint32(head, uint32(len(b)))
		head = append(head, b...)
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	if _, err := io.Copy(w, file); err != nil {
		return fmt.Errorf("write the bundle: %w", err)
	}
	return nil
}
