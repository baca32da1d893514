package handshake

import "encoding/binary"

// The messages of §5.4.2 and §5.4.3 (rules.md §1.2): the first byte, the sizes and where each field starts.
const (
	typeInitiation = 1
	typeResponse   = 2

	initiationSize      = 148
	initiationSender    = 4
	initiationEphemeral = 8
	initiationStatic    = 40
	initiationTimestamp = 88
	initiationMAC1      = 116

	responseSize      = 92
	responseSender    = 4
	responseReceiver  = 8
	responseEphemeral = 12
	responseEmpty     = 44
	responseMAC1      = 60
)

// CreateInitiation is the initiator's half of §5.4.2. It writes an initiation into msg, everything but the two
// MACs, which it leaves as they were; sender is the index by which the response shall find us. ss is used, and
// filled in through dh if Unknown. The State returned is what [ConsumeResponse] needs; the caller keeps it and e
// until then.
//
// Errors: ErrLowOrder if remotePublic has low order (CRYPTO-12), ErrIdentity. After an error msg must not be sent.
func CreateInitiation(msg *[148]byte, sender uint32, e *Ephemeral, localPublic, remotePublic *[32]byte,
	dh DH, ss *StaticStatic, timestamp *[12]byte) (State, error) {
	es, err := e.dh(remotePublic)
	if err != nil {
		return State{}, err
	}
	defer clear(es[:])
	if err = ss.resolve(dh, remotePublic); err != nil {
		return State{}, err
	}
	var key [32]byte
	defer clear(key[:])

	// "msg.type := 1, msg.reserved := 0³, msg.sender := Iᵢ"
	binary.LittleEndian.PutUint32(msg[:], typeInitiation)
	binary.LittleEndian.PutUint32(msg[initiationSender:], sender)
	// C := Hash(Construction), H := Hash(Hash(C ‖ Identifier) ‖ Sʳpub)
	s := start(remotePublic)
	// C := Kdf₁(C, Eᵢpub), H := Hash(H ‖ msg.ephemeral)
	public := e.Public()
	copy(msg[initiationEphemeral:], public[:])
	s.mixEphemeral(public[:])
	// (C, κ) := Kdf₂(C, DH(Eᵢpriv, Sʳpub)); msg.static := Aead(κ, 0, Sᵢpub, H)
	kdf(&s.Chain, es[:], &s.Chain, &key)
	if err = s.seal(msg[initiationStatic:initiationTimestamp], &key, localPublic[:]); err != nil {
		return State{}, err
	}
	// (C, κ) := Kdf₂(C, DH(Sᵢpriv, Sʳpub)); msg.timestamp := Aead(κ, 0, Timestamp(), H)
	kdf(&s.Chain, ss.Secret[:], &s.Chain, &key)
	if err = s.seal(msg[initiationTimestamp:initiationMAC1], &key, timestamp[:]); err != nil {
		return State{}, err
	}
	return s, nil
}

// ConsumeInitiationStatic is the responder's first step of §5.4.2, up to the initiator's static key. remote is
// only a claim: whoever knows our public key can name any key here, so it may select a peer and change nothing
// (HS-04, HS-06).
//
// Errors: ErrLowOrder for the ephemeral (CRYPTO-11), ErrDecrypt, ErrIdentity.
func ConsumeInitiationStatic(msg *[148]byte, localPublic *[32]byte, dh DH) (remote [32]byte, s State, err error) {
	ephemeral := (*[32]byte)(msg[initiationEphemeral:])
	es, err := staticDH(dh, ephemeral)
	if err != nil {
		return remote, s, err
	}
	defer clear(es[:])
	var key [32]byte
	defer clear(key[:])

	s = start(localPublic)
	s.mixEphemeral(ephemeral[:])
	kdf(&s.Chain, es[:], &s.Chain, &key)
	if err = s.open(remote[:0], &key, msg[initiationStatic:initiationTimestamp]); err != nil {
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
	if err = s.open(timestamp[:0], &key, msg[initiationTimestamp:initiationMAC1]); err != nil {
		s.Wipe()
		return [12]byte{}, err
	}
	return timestamp, nil
}
