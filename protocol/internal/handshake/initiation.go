package handshake

import "github.com/purewire/purewire/protocol/wire"

// CreateInitiation is the initiator's half of §5.4.2. It writes an initiation into msg, whose two MACs it leaves
// zero; sender is the index by which the response shall find us. ss is used, and filled in through dh if Unknown.
// The State returned is what [ConsumeResponse] needs; the caller keeps it and e until then.
//
// Errors: ErrLowOrder if remotePublic has low order (CRYPTO-12), ErrIdentity. After an error msg must not be sent.
func CreateInitiation(msg *[148]byte, sender uint32, e *Ephemeral, localPublic, remotePublic *[32]byte,
	dh DH, ss *StaticStatic, timestamp *[12]byte) (State, error) {
	if err := ss.resolve(dh, remotePublic); err != nil {
		return State{}, err
	}
	es, err := e.dh(remotePublic)
	if err != nil {
		return State{}, err
	}
	defer clear(es[:])
	var key [32]byte
	defer clear(key[:])

	// "msg.type := 1, msg.reserved := 0³, msg.sender := Iᵢ"
	m := (*wire.Initiation)(msg)
	m.Init()
	m.SetSender(sender)
	// C := Hash(Construction), H := Hash(Hash(C ‖ Identifier) ‖ Sʳpub)
	s := start(remotePublic)
	// C := Kdf₁(C, Eᵢpub), H := Hash(H ‖ msg.ephemeral)
	*m.Ephemeral() = e.Public()
	s.mixEphemeral(m.Ephemeral())
	// (C, κ) := Kdf₂(C, DH(Eᵢpriv, Sʳpub)); msg.static := Aead(κ, 0, Sᵢpub, H)
	kdf(&s.Chain, es[:], &s.Chain, &key)
	s.seal(m.Static(), &key, localPublic[:])
	// (C, κ) := Kdf₂(C, DH(Sᵢpriv, Sʳpub)); msg.timestamp := Aead(κ, 0, Timestamp(), H)
	kdf(&s.Chain, ss.Secret[:], &s.Chain, &key)
	s.seal(m.Timestamp(), &key, timestamp[:])
	return s, nil
}

// ConsumeInitiationStatic is the responder's first step of §5.4.2, up to the initiator's static key. remote is
// only a claim: whoever knows our public key can name any key here, so it may select a peer and change nothing
// (HS-04, HS-06).
//
// Errors: ErrLowOrder for the ephemeral (CRYPTO-11), ErrDecrypt, ErrIdentity.
func ConsumeInitiationStatic(msg *[148]byte, localPublic *[32]byte, dh DH) (remote [32]byte, s State, err error) {
	m := (*wire.Initiation)(msg)
	es, err := staticDH(dh, m.Ephemeral())
	if err != nil {
		return remote, s, err
	}
	defer clear(es[:])
	var key [32]byte
	defer clear(key[:])

	s = start(localPublic)
	s.mixEphemeral(m.Ephemeral())
	kdf(&s.Chain, es[:], &s.Chain, &key)
	if err = s.open(remote[:0], &key, m.Static()); err != nil {
		return [32]byte{}, State{}, err
	}
	return remote, s, nil
}

// ConsumeInitiationTimestamp is the responder's second step of §5.4.2, with s and remote from the first one. Only
// when it returns nil has the owner of remote authenticated the message (HS-06); whether the timestamp is a fresh
// one (TAI-02) is for the caller to judge. ss is used, and filled in through dh if Unknown. After an error s is
// wiped.
//
// Errors: ErrLowOrder for the static key (CRYPTO-12), ErrDecrypt, ErrIdentity.
func ConsumeInitiationTimestamp(msg *[148]byte, s *State, remote *[32]byte, dh DH,
	ss *StaticStatic) (timestamp [12]byte, err error) {
	if err = ss.resolve(dh, remote); err != nil {
		s.Wipe()
		return timestamp, err
	}
	var key [32]byte
	defer clear(key[:])

	kdf(&s.Chain, ss.Secret[:], &s.Chain, &key)
	if err = s.open(timestamp[:0], &key, (*wire.Initiation)(msg).Timestamp()); err != nil {
		s.Wipe()
		return [12]byte{}, err
	}
	return timestamp, nil
}
