package sim

import (
	"encoding/base64"

	"github.com/purewire/purewire/protocol"
)

// privateKey is the key that a host begins with. canon is the host whose key it is: itself, or the one that it
// stole from.
func (s *Sim) privateKey(cfg *Host, canon string) [protocol.KeySize]byte {
	if cfg.Steals != "" {
		for i := range s.sc.Hosts {
			if s.sc.Hosts[i].Name == canon {
				cfg = &s.sc.Hosts[i]
			}
		}
	}
	if cfg.Key != nil {
		return *cfg.Key
	}
	return derive(s.o.Seed, "private key", canon)
}

// presharedKey is the key that a word stands for: the one that it is, in base64 as wg(8) writes keys, or else the one
// that follows from it and the seed.
func (s *Sim) presharedKey(word string) [protocol.KeySize]byte {
	if b, err := base64.StdEncoding.DecodeString(word); err == nil && len(b) == protocol.KeySize {
		return [protocol.KeySize]byte(b)
	}
	return derive(s.o.Seed, "preshared key", word)
}
