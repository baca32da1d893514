package protocoltest_test

import (
	"fmt"

	"github.com/purewire/purewire/protocol/protocoltest"
)

// A world of two devices, driven from Go with the commands of scripts.
func Example() {
	env := protocoltest.New(protocoltest.Options{})
	_, err := env.Do("device alice", "device bob", "peer alice bob", "up", "hide timers events")
	if err != nil {
		fmt.Println(err)
		return
	}
	log, err := env.Do(`tun alice bob text="hello"`, "settle")
	fmt.Print(log)
	fmt.Println(err, len(env.Node("bob").Delivered))
	// Output:
	// 0.000  alice  takes packet 1: 10.0.0.1 > 10.0.0.2, 33 bytes, "hello"
	//    0.000  alice  sends #1 to bob: initiation alice.1, 148 bytes
	//    0.000  bob    receives #1 from alice: initiation
	//    0.000  bob    sends #2 to alice: response bob.1 to alice.1, 92 bytes
	//    0.000  alice  receives #2 from bob: response
	//    0.000  alice  sends #3 to bob: data for bob.1, counter 0, 80 bytes
	//    0.000  bob    receives #3 from alice: data
	//    0.000  bob    delivers packet 1: 10.0.0.1 > 10.0.0.2, 33 bytes, "hello" from alice
	// <nil> 1
}

// Two connected devices for a test that needs a tunnel.
func ExampleNewPair() {
	pair, err := protocoltest.NewPair(protocoltest.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := pair.Exchange(); err != nil {
		fmt.Println(err)
	}
	fmt.Println(len(pair.A.Delivered), len(pair.B.Delivered))
	// Output: 1 1
}
