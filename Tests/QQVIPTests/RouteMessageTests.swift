import Testing

@testable import QQVIP

/// Expected bytes by struct nlmsghdr, ifaddrmsg, ifinfomsg and rtattr, on a little-endian machine.
@Suite("Messages to and from the kernel's routing socket")
struct RouteMessageTests {
    private let four: VirtualAddress
    private let six: VirtualAddress
    private let sixBytes: [UInt8] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]

    init() throws {
        four = try VirtualAddress.parse("10.0.0.5/24@eth0")
        six = try VirtualAddress.parse("2001:db8::5/64@eth0")
    }

    private func header(_ length: UInt8, _ type: UInt8, _ flags: UInt16, _ sequence: UInt8 = 7) -> [UInt8] {
        [length, 0, 0, 0, type, 0, UInt8(flags & 0xff), UInt8(flags >> 8), sequence, 0, 0, 0, 0, 0, 0, 0]
    }

    @Test("a message puts an address on an interface for some seconds, or gives it more")
    func add() {
        let message = RouteMessage.add(four, index: 3, seconds: 13, replacing: false, sequence: 7)
        // REQUEST, ACK, CREATE, EXCL
        let body: [UInt8] = [
            2, 24, 0, 0, 3, 0, 0, 0, 8, 0, 2, 0, 10, 0, 0, 5, 8, 0, 1, 0, 10, 0, 0, 5, 20, 0, 6, 0, 13, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0,
            0,
            0, 0,
        ]
        #expect(message.bytes == header(60, 20, 0x605) + body)
        // REQUEST, ACK, CREATE, REPLACE
        #expect(RouteMessage.add(four, index: 3, seconds: 13, replacing: true, sequence: 7).bytes == header(60, 20, 0x505) + body)
    }

    @Test("a message puts an IPv6 address on an interface without duplicate address detection")
    func addIPv6() {
        let message = RouteMessage.add(six, index: 3, seconds: 300, replacing: true, sequence: 7)
        #expect(
            message.bytes == header(84, 20, 0x505) + [10, 64, 2, 0, 3, 0, 0, 0, 20, 0, 2, 0] + sixBytes + [20, 0, 1, 0] + sixBytes
                + [20, 0, 6, 0, 44, 1, 0, 0, 44, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test("messages remove an address, and request all addresses and one interface")
    func others() {
        #expect(
            RouteMessage.delete(four, index: 3, sequence: 7).bytes == header(40, 21, 0x5) + [
                2, 24, 0, 0, 3, 0, 0, 0, 8, 0, 2, 0, 10, 0, 0, 5, 8, 0, 1, 0, 10, 0, 0, 5,
            ])
        #expect(RouteMessage.addresses(isIPv6: true, sequence: 7).bytes == header(24, 22, 0x301) + [10, 0, 0, 0, 0, 0, 0, 0])
        #expect(
            RouteMessage.link(index: 3, sequence: 7).bytes == header(32, 18, 1) + [0, 0, 0, 0, 3, 0, 0, 0] + [UInt8](repeating: 0, count: 8)
        )
    }

    @Test("an answer is a result, a list, or an interface")
    func answers() throws {
        let success = header(36, 2, 0) + [0, 0, 0, 0] + header(60, 20, 0x605)
        #expect(RouteAnswer.parse(success[...], sequence: 7) == [.result(0)])
        let denied = header(36, 2, 0) + [0xff, 0xff, 0xff, 0xff] + header(60, 20, 0x605)
        #expect(RouteAnswer.parse(denied[...], sequence: 7) == [.result(1)])
        // A peer's address beside the machine's own, a flags attribute, a lifetime; and a permanent address.
        let list =
            header(68, 20, 2) + [2, 24, 0, 0, 3, 0, 0, 0, 8, 0, 1, 0, 10, 0, 0, 9, 8, 0, 2, 0, 10, 0, 0, 5, 8, 0, 8, 0, 0, 0, 0, 0]
            + [20, 0, 6, 0, 9, 0, 0, 0, 13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            + header(64, 20, 2) + [10, 64, 0x80, 0, 4, 0, 0, 0, 20, 0, 1, 0] + sixBytes
            + [20, 0, 6, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0]
            + header(20, 3, 2) + [0, 0, 0, 0]
        #expect(
            RouteAnswer.parse(list[...], sequence: 7) == [
                .address(.init(bytes: [10, 0, 0, 5], prefixLength: 24, index: 3, validSeconds: 13)),
                .address(.init(bytes: sixBytes, prefixLength: 64, index: 4)), .done,
            ])
        #expect(RouteAnswer.parse(list[...], sequence: 8) == [])
        let link = header(44, 16, 0) + [0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 1, 0, 2, 1, 1, 1, 1, 9, 0, 0]
        guard case .link(let found)? = RouteAnswer.parse(link[...], sequence: 7).first else {
            Issue.record("no interface")
            return
        }
        #expect(found.isEthernet)
        #expect(found.address == [2, 1, 1, 1, 1, 9])
    }

    @Test("truncated and senseless messages are skipped")
    func malformed() {
        let list =
            header(48, 20, 2) + [2, 24, 0, 0, 3, 0, 0, 0, 8, 0, 1, 0, 10, 0, 0, 9, 8, 0, 2, 0, 10, 0, 0, 5, 8, 0, 8, 0, 0, 0, 0, 0]
        for length in 0..<list.count { #expect(RouteAnswer.parse(list.prefix(length), sequence: 7).isEmpty) }
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var bytes = list
            for _ in 0..<3 { bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random) }
            _ = RouteAnswer.parse(bytes[...], sequence: 7)
        }
        // Lengths of zero, which would make an endless loop.
        #expect(RouteAnswer.parse([UInt8](repeating: 0, count: 64)[...], sequence: 0) == [])
        #expect(RouteAnswer.attributes([0, 0, 1, 0, 0, 0, 1, 0][...]).isEmpty)
    }
}
