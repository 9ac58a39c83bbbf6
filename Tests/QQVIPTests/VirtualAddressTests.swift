import QQCore
import Testing

@testable import QQVIP

@Suite("A virtual address")
struct VirtualAddressTests {
    @Test(
        "an address is parsed, and has one text form",
        arguments: [
            ("10.0.0.5/24@eth0", "10.0.0.5/24@eth0"), ("10.0.0.5/32@lo", "10.0.0.5/32@lo"),
            ("10.0.0.5/255.255.254.0@eth0", "10.0.0.5/23@eth0"),
            ("2001:DB8:0::5/64@eth0", "2001:db8::5/64@eth0"), ("fe80::5/128@br-lan.7", "fe80::5/128@br-lan.7"),
            ("10.0.0.5/1@abcdefghijklmno", "10.0.0.5/1@abcdefghijklmno"), ("10.0.0.5/24@a@b", "10.0.0.5/24@a@b"),
        ])
    func isRead(_ text: String, _ written: String) throws {
        let address = try VirtualAddress.parse(text)
        #expect(address.description == written)
        #expect(try VirtualAddress.parse(written) == address)
    }

    @Test("an address has its bytes in network order")
    func bytes() throws {
        #expect(try VirtualAddress.parse("10.1.2.3/24@eth0").bytes == [10, 1, 2, 3])
        let six = try VirtualAddress.parse("2001:db8::5/64@eth0")
        #expect(six.bytes == [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5])
        #expect(six.isIPv6)
        #expect(six.prefixLength == 64)
    }

    @Test(
        "a text that is not a virtual address is refused with a reason",
        arguments: [
            ("", "no interface is named"), ("10.0.0.5/24", "no interface is named"), ("10.0.0.5/24@", "no interface is named"),
            ("10.0.0.5@eth0", "no prefix length is given"), ("10.0.0.256/24@eth0", "'10.0.0.256' is not an IP address"),
            ("10.0.0.05/24@eth0", "'10.0.0.05' is not an IP address"), ("10.5/24@eth0", "'10.5' is not an IP address"),
            ("/24@eth0", "'' is not an IP address"), ("fe80::1%eth0/64@eth0", "'fe80::1%eth0' is not an IP address"),
            ("10.0.0.5/0@eth0", "'0' is not a prefix length from 1 to 32"),
            ("10.0.0.5/33@eth0", "'33' is not a prefix length from 1 to 32"),
            ("10.0.0.5/+24@eth0", "'+24' is not a prefix length from 1 to 32"),
            ("10.0.0.5/@eth0", "'' is not a prefix length from 1 to 32"),
            ("10.0.0.5/255.0.255.0@eth0", "'255.0.255.0' is not a prefix length from 1 to 32"),
            ("10.0.0.5/0.0.0.0@eth0", "'0.0.0.0' is not a prefix length from 1 to 32"),
            ("10.0.0.5/999@eth0", "'999' is not a prefix length from 1 to 32"),
            ("2001:db8::5/129@eth0", "'129' is not a prefix length from 1 to 128"),
            ("2001:db8::5/255.255.255.0@eth0", "'255.255.255.0' is not a prefix length from 1 to 128"),
            ("0.0.0.0/8@eth0", "0.0.0.0 is the unspecified address, which no machine can carry"),
            ("::/8@eth0", ":: is the unspecified address, which no machine can carry"),
            ("224.0.0.1/8@eth0", "224.0.0.1 is a multicast address, which no machine can carry"),
            ("ff02::1/8@eth0", "ff02::1 is a multicast address, which no machine can carry"),
            ("255.255.255.255/8@eth0", "255.255.255.255 is the broadcast address, which no machine can carry"),
            ("::ffff:10.0.0.5/96@eth0", "::ffff:10.0.0.5 is an IPv4-mapped IPv6 address, which no machine can carry"),
            ("10.0.0.5/24@abcdefghijklmnop", "'abcdefghijklmnop' is too long for an interface's name, which has at most 15 bytes"),
            ("10.0.0.5/24@eth0:1", "'eth0:1' cannot be an interface's name"), ("10.0.0.5/24@a/b", "'a/b' cannot be an interface's name"),
            ("10.0.0.5/24@..", "'..' cannot be an interface's name"), ("10.0.0.5/24@a b", "'a b' cannot be an interface's name"),
            ("10.0.0.5/24@\u{1b}[2J", "'\\x1b[2J' cannot be an interface's name"),
        ])
    func isRefused(_ text: String, _ reason: String) {
        #expect { try VirtualAddress.parse(text) } throws: { ($0 as? VirtualAddress.Invalid)?.reason == reason }
    }

    // MARK: Addresses that are already on the machine

    private func conflict(_ text: String, _ present: [InterfaceAddress]) throws -> CoordinationError? {
        let address = try VirtualAddress.parse(text)
        do throws(CoordinationError) {
            try address.checkConflicts(with: present, index: 2) { "eth\($0 - 2)" }
            return nil
        } catch { return error }
    }

    @Test("an address that was left on its interface is not a conflict, nor are other addresses")
    func noConflict() throws {
        let others: [InterfaceAddress] = [
            .init(bytes: [10, 0, 0, 5], prefixLength: 24, index: 2), .init(bytes: [10, 0, 0, 1], prefixLength: 24, index: 2),
            .init(bytes: [10, 0, 0, 6], prefixLength: 24, index: 3),
        ]
        #expect(try conflict("10.0.0.5/24@eth0", others) == nil)
        #expect(try conflict("10.0.0.5/24@eth0", []) == nil)
    }

    @Test("an address is refused if another interface has it, or its own interface with another prefix length")
    func conflicts() throws {
        let elsewhere = try #require(try conflict("10.0.0.5/24@eth0", [.init(bytes: [10, 0, 0, 5], prefixLength: 24, index: 3)]))
        #expect(elsewhere.kind == .configuration)
        #expect(elsewhere.reason == "eth1 has it already")
        #expect(elsewhere.hint == "if it was left there, remove it: ip addr del 10.0.0.5/24 dev eth1")
        let other = try #require(try conflict("10.0.0.5/24@eth0", [.init(bytes: [10, 0, 0, 5], prefixLength: 32, index: 2)]))
        #expect(other.reason == "eth0 has it already, as 10.0.0.5/32")
    }

    @Test("a link-local address is a different one on every link")
    func linkLocal() throws {
        let bytes: [UInt8] = [0xfe, 0x80] + [UInt8](repeating: 0, count: 13) + [5]
        #expect(try conflict("fe80::5/64@eth0", [.init(bytes: bytes, prefixLength: 64, index: 3)]) == nil)
        #expect(try conflict("fe80::5/64@eth0", [.init(bytes: bytes, prefixLength: 128, index: 2)]) != nil)
    }
}
