import Glibc

/// An IP address. Pure.
public struct IPAddress: Sendable, Hashable {
    /// 4 or 16 bytes, in the order of the network.
    public let bytes: [UInt8]

    /// nil for anything but an address in its usual form.
    public init?(_ text: String) {
        guard let bytes = CertificateNames.bytes(ofAddress: text) else { return nil }
        self.bytes = bytes
    }

    public init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    /// The IPv4 address of an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2); otherwise the address itself.
    public var unmapped: IPAddress {
        guard bytes.count == 16, bytes[..<10].allSatisfy({ $0 == 0 }), bytes[10] == 0xff, bytes[11] == 0xff else { return self }
        return IPAddress(bytes: Array(bytes[12...])) ?? self
    }

    /// Whether the address is this machine's own loopback: 127.0.0.0/8 or ::1.
    public var isLoopback: Bool {
        let address = unmapped.bytes
        return address.count == 4 ? address[0] == 127 : address.dropLast().allSatisfy { $0 == 0 } && address.last == 1
    }

    /// Whether the first `bits` bits are those of `network`, which must be of the same family.
    public func isIn(_ network: IPAddress, bits: Int) -> Bool {
        guard bytes.count == network.bytes.count, (0...bytes.count * 8).contains(bits) else { return false }
        for (index, (own, other)) in zip(bytes, network.bytes).enumerated() {
            let left = min(8, max(0, bits - index * 8))
            let mask = left == 0 ? 0 : UInt8(truncatingIfNeeded: 0xff << (8 - left))
            guard own & mask == other & mask else { return false }
        }
        return true
    }
}
