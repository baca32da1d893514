package explain

import (
	"crypto/hmac"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

// cookieLife is how long a cookie may be used (COOKIE-10).
const cookieLife = 120 * second

// jar is the last cookie that a side was given, as far as the capture has it.
type jar struct {
	cookie []byte
	at     int64
}

// openCookie decrypts a cookie reply. That takes only the public key of who made it, and the message that it answers,
// whose mac1 is bound in (COOKIE-06).
func openCookie(reply, answered *message, maker key) ([]byte, bool) {
	if reply.cut || answered.cut || len(reply.data) != cookieSize {
		return nil, false
	}
	label := blake2s.Sum256(append([]byte("cookie--"), maker[:]...))
	box, err := chacha20poly1305.NewX(label[:])
	if err != nil {
		panic(err) // the key is 32 bytes long
	}
	mac1 := answered.data[len(answered.data)-32 : len(answered.data)-16]
	cookie, err := box.Open(nil, reply.data[8:32], reply.data[32:64], mac1)
	return cookie, err == nil
}

// checkMac2 follows the cookies of a tunnel and holds mac2 of every later handshake message to them (COOKIE-05). A mac2
// that is zero or for which no cookie is known stays unchecked.
func (a *analysis) checkMac2(t *tunnel) {
	var jars [2]jar // by the side that was given it
	for _, m := range t.messages {
		switch {
		case m.copyOf != nil || m.exchange == nil:
		case m.kind == cookieReply:
			a.takeCookie(t, m, &jars[1-m.from])
		case m.kind == initiation || m.kind == response:
			j := &jars[m.from]
			if j.cookie == nil || !m.hasMac2() {
				continue
			}
			h, err := blake2s.New128(j.cookie)
			if err != nil {
				panic(err) // a cookie has 16 bytes
			}
			h.Write(m.data[:len(m.data)-16])
			m.ident.mac2 = forged
			if hmac.Equal(h.Sum(nil), m.mac2()) {
				m.ident.mac2 = genuine
			}
			a.deviateMac2(t, m, j)
		}
	}
}

// takeCookie finds the handshake message of the other side that a reply answers.
func (a *analysis) takeCookie(t *tunnel, m *message, j *jar) {
	for _, answered := range []*message{m.exchange.init, m.exchange.resp} {
		if answered == nil || answered.from == m.from || answered.ident.mac1 != genuine {
			continue
		}
		cookie, ok := openCookie(m, answered, answered.ident.to)
		if m.open = forged; ok {
			m.open = genuine
			*j = jar{cookie, m.at}
			return
		}
	}
}

func (a *analysis) deviateMac2(t *tunnel, m *message, j *jar) {
	switch age := m.at - j.at; {
	case m.ident.mac2 == forged:
		a.deviant(t, m.from, "COOKIE-05", Possible, m, "mac2 does not fit the last cookie in the capture, which is %s old; "+
			"a later one may not have been captured", seconds(age))
	case age > cookieLife+second:
		a.deviant(t, m.from, "COOKIE-10", Likely, m, "mac2 is made with a cookie that is %s old, where 120 s are the most",
			seconds(age))
	}
}
