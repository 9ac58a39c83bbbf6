import Glibc
import QQCore

/// An IP address that is on an interface only while this process leads: `10.0.0.5/24@eth0`, `2001:db8::5/64@eth0`.
public struct VirtualAddress: Sendable, Hashable, CustomStringConvertible {
    /// Why a text is rejected, and what to do about it.
    public struct Invalid: Error, Sendable, Hashable {
        public var reason: String
        public var hint: String?
    }

    /// The address in network order: 4 bytes, or 16.
    public let bytes: [UInt8]
    /// Length of the prefix, in bits.
    public let prefixLength: UInt8
    /// The interface's name.
    public let interface: String

    public var isIPv6: Bool { bytes.count == 16 }

    /// Reads `ADDR/MASK@IF`. The mask is a prefix length or, for IPv4, a netmask with dots.
    public static func parse(_ text: String) throws(Invalid) -> VirtualAddress {
        // An interface's name can contain an @, an address cannot.
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2 else {
            throw Invalid(reason: "no interface is named", hint: "write ADDR/MASK@IF, such as 10.0.0.5/24@eth0")
        }
        let address = parts[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let bytes = Self.address(address[0]) else {
            throw Invalid(reason: "'\(Printable.text(address[0]))' is not an IP address", hint: nil)
        }
        if let problem = Self.problem(bytes) { throw Invalid(reason: "\(address[0]) is \(problem), which no machine can carry", hint: nil) }
        guard address.count == 2 else {
            throw Invalid(
                reason: "no prefix length is given",
                hint: "write ADDR/MASK@IF, such as \(bytes.count == 4 ? "10.0.0.5/24" : "2001:db8::5/64")@eth0")
        }
        guard let length = Self.length(address[1], isIPv6: bytes.count == 16) else {
            throw Invalid(
                reason: "'\(Printable.text(address[1]))' is not a prefix length from 1 to \(bytes.count * 8)",
                hint: nil)
        }
        try check(interface: parts[1])
        return VirtualAddress(bytes: bytes, prefixLength: length, interface: parts[1])
    }

    private static func address(_ text: String) -> [UInt8]? {
        for (family, size) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: size)
            if inet_pton(family, text, &bytes) == 1 { return bytes }
        }
        return nil
    }

    /// Why an address cannot belong to one machine; nil if it can.
    private static func problem(_ bytes: [UInt8]) -> String? {
        if bytes.allSatisfy({ $0 == 0 }) { return "the unspecified address" }
        if bytes.count == 4 {
            if bytes[0] & 0xf0 == 0xe0 { return "a multicast address" }
            return bytes.allSatisfy { $0 == 255 } ? "the broadcast address" : nil
        }
        if bytes[0] == 0xff { return "a multicast address" }
        return bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 255 && bytes[11] == 255 ? "an IPv4-mapped IPv6 address" : nil
    }

    private static func length(_ text: String, isIPv6: Bool) -> UInt8? {
        let digits = text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        if digits { return UInt8(text).flatMap { (1...(isIPv6 ? 128 : 32)).contains($0) ? $0 : nil } }
        guard !isIPv6, let mask = address(text), mask.count == 4 else { return nil }
        let bits = mask.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let length = (~bits).leadingZeroBitCount
        return length > 0 && bits.nonzeroBitCount == length ? UInt8(length) : nil
    }

    /// Checks an interface's name as the kernel's dev_valid_name() does.
    private static func check(interface: String) throws(Invalid) {
        guard !interface.isEmpty else { throw Invalid(reason: "no interface is named", hint: "write it after the @, such as @eth0") }
        guard interface.utf8.count <= 15 else {
            throw Invalid(
                reason: "'\(Printable.text(interface))' is too long for an interface's name, which has at most 15 bytes", hint: nil)
        }
        let forbidden = interface.utf8.contains { $0 <= 0x20 || $0 == 0x7f || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: ":") }
        guard !forbidden, interface != ".", interface != ".." else {
            throw Invalid(reason: "'\(Printable.text(interface))' cannot be an interface's name", hint: nil)
        }
    }

    /// The address without prefix length and interface.
    public var address: String { Self.text(bytes) }

    /// The usual text form of an address of 4 or 16 bytes.
    static func text(_ bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else { return "" }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    public var description: String { "\(address)/\(prefixLength)@\(interface)" }
}
