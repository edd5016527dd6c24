package jose

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
)

// ParseKey returns the key in key, if key is the text of a PEM file as a []byte. It returns keys of
// other types unchanged, except that it refuses nil and Ed25519 keys of the wrong length.
func ParseKey(key any) (any, error) {
	key, err := whole(key)
	if err != nil {
		return nil, err
	}
	data, ok := key.([]byte)
	switch {
	case key == nil:
		return nil, errors.New("it is nil: set the Key")
	case !ok:
		return key, nil
	case len(data) == 0:
		return nil, errors.New("it is empty: set the Key to the text of a PEM file")
	}
	block, err := onlyBlock(data)
	if err != nil {
		return nil, err
	}
	return parseBlock(block)
}

// whole returns key, or an error if key is an Ed25519 key of the wrong length. It dereferences a
// pointer to an Ed25519 private key.
func whole(key any) (any, error) {
	if p, ok := key.(*ed25519.PrivateKey); ok && p != nil {
		key = *p // the value is a crypto.Signer too
	}
	public, isPublic := key.(ed25519.PublicKey)
	private, isPrivate := key.(ed25519.PrivateKey)
	if isPublic && len(public) != ed25519.PublicKeySize ||
		isPrivate && len(private) != ed25519.PrivateKeySize {
		return nil, errors.New("an Ed25519 key of the wrong length")
	}
	return key, nil
}

// onlyBlock returns the block of a PEM file with one key. "openssl ecparam -genkey" writes the
// curve's parameters before the key. They are skipped, since the key names the curve too (RFC 5915,
// section 3).
func onlyBlock(data []byte) (*pem.Block, error) {
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, notPEM(data)
	}
	if block.Type == "EC PARAMETERS" {
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("the PEM file has no key behind its EC PARAMETERS")
		}
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, errors.New("the PEM file holds more than one block")
	}
	return block, nil
}

func parseBlock(block *pem.Block) (any, error) {
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "PRIVATE KEY":
		return x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return nil, errors.New("a PEM block that is not a plain public or private key")
}

// notPEM returns an error that explains why data cannot be read as PEM. Environment variables and
// settings often lose the line breaks of a PEM file.
func notPEM(data []byte) error {
	data = bytes.TrimSpace(data)
	frame := bytes.Contains(data, []byte("-----BEGIN "))
	switch {
	case !frame:
		return errors.New("it is not PEM: set the Key to the text of a PEM file, or to a key of " +
			"package crypto")
	case bytes.Contains(data, []byte(`\n`)):
		return errors.New(`it is not PEM: its line breaks are the two characters \n: ` +
			"replace each by a line feed")
	case bytes.ContainsAny(data, "\r\n"):
		if !bytes.Contains(data, []byte("-----END ")) {
			return errors.New("it is not PEM: its end is missing")
		}
		return errors.New("it is not PEM: something in it was changed")
	case bytes.Contains(data, []byte("----- ")):
		return errors.New("it is not PEM: it has blanks in place of line breaks: " +
			"replace those outside of the BEGIN and END lines by line feeds")
	}
	return errors.New("it is not PEM: it has no line breaks: put one behind the BEGIN line and " +
		"one before the END line")
}
