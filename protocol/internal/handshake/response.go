package handshake

import "github.com/purewire/purewire/protocol/wire"

// CreateResponse is the responder's half of §5.4.3 and §5.4.5, with s as [ConsumeInitiationTimestamp] left it. It
// writes a response into msg, whose two MACs it leaves zero; receiver echoes the initiator's index (HS-07), sender
// is our own. psk is all zero if there is none, and mixed in even then (CRYPTO-14). s is used up and wiped in any
// case; e is the caller's to wipe.
//
// Errors: ErrLowOrder (CRYPTO-11). After an error msg must not be sent.
func CreateResponse(msg *[92]byte, s *State, sender, receiver uint32, e *Ephemeral,
	remoteEphemeral, remoteStatic, psk *[32]byte) (Keys, error) {
	defer s.Wipe()
	ee, err := e.dh(remoteEphemeral)
	if err != nil {
		return Keys{}, err
	}
	defer clear(ee[:])
	se, err := e.dh(remoteStatic)
	if err != nil {
		return Keys{}, err
	}
	defer clear(se[:])

	// "msg.type := 2, msg.reserved := 0³, msg.sender := Iʳ, msg.receiver := Iᵢ"
	m := (*wire.Response)(msg)
	m.Init()
	m.SetSender(sender)
	m.SetReceiver(receiver)
	*m.Ephemeral() = e.Public()
	key := s.mixResponse(m.Ephemeral(), &ee, &se, psk)
	defer clear(key[:])
	// msg.empty := Aead(κ, 0, ϵ, H)
	s.seal(m.Empty(), &key, nil)
	return s.split(), nil
}

// ConsumeResponse is the initiator's half of §5.4.3 and §5.4.5. s is the State of [CreateInitiation], by value: a
// response that fails leaves the pending handshake as it was, so that the genuine one still completes it (HS-10).
// The keys returned are authenticated by the responder, and by both sides' knowledge of psk (CRYPTO-15).
//
// Errors: ErrLowOrder for the ephemeral (CRYPTO-11), ErrDecrypt, ErrIdentity.
func ConsumeResponse(msg *[92]byte, s State, e *Ephemeral, dh DH, psk *[32]byte) (Keys, error) {
	defer s.Wipe()
	m := (*wire.Response)(msg)
	ee, err := e.dh(m.Ephemeral())
	if err != nil {
		return Keys{}, err
	}
	defer clear(ee[:])
	se, err := staticDH(dh, m.Ephemeral())
	if err != nil {
		return Keys{}, err
	}
	defer clear(se[:])

	key := s.mixResponse(m.Ephemeral(), &ee, &se, psk)
	defer clear(key[:])
	if err = s.open(nil, &key, m.Empty()); err != nil {
		return Keys{}, err
	}
	return s.split(), nil
}

// mixResponse takes the state through §5.4.3 up to the key of the empty field; both sides do exactly the same.
func (s *State) mixResponse(ephemeral, ee, se, psk *[32]byte) (key [32]byte) {
	// C := Kdf₁(C, Eʳpub), H := Hash(H ‖ msg.ephemeral)
	s.mixEphemeral(ephemeral)
	// C := Kdf₁(C, DH(Eʳpriv, Eᵢpub)), C := Kdf₁(C, DH(Eʳpriv, Sᵢpub))
	kdf(&s.Chain, ee[:], &s.Chain)
	kdf(&s.Chain, se[:], &s.Chain)
	// (C, τ, κ) := Kdf₃(C, Q), H := Hash(H ‖ τ)
	var tau [32]byte
	kdf(&s.Chain, psk[:], &s.Chain, &tau, &key)
	s.mixHash(tau[:])
	clear(tau[:])
	return key
}
