import QQNetwork
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("127.0.0.1", true), ("127.255.0.9", true), ("::1", true), ("::ffff:127.0.0.1", true), ("128.0.0.1", false), ("::2", false),
        ("1::1", false),
    ]) func `the loopback's addresses are known`(text: String, isLoopback: Bool) throws {
        #expect(try #require(IPAddress(text)).isLoopback == isLoopback)
    }

    @Test(arguments: [
        ("10.1.2.3", "10.0.0.0", 8, true), ("10.1.2.3", "10.1.2.2", 31, true), ("10.1.2.3", "10.1.2.2", 32, false),
        ("10.1.2.3", "0.0.0.0", 0, true),
        ("fd00::5", "fd00::", 16, true), ("fd01::5", "fd00::", 16, false), ("fd01::5", "fd00::", 15, true), ("10.0.0.1", "::", 0, false),
    ]) func `a network contains the addresses that begin as it does`(text: String, network: String, bits: Int, isIn: Bool) throws {
        #expect(try #require(IPAddress(text)).isIn(#require(IPAddress(network)), bits: bits) == isIn)
    }

    @Test(arguments: ["", "10.0.0", "10.0.0.1.2", "h", "[::1]", "fe80::1%eth0"]) func `other text is not an address`(text: String) {
        #expect(IPAddress(text) == nil)
    }
}
