/// A parsed answer of the kernel's routing socket. Malformed and unknown answers are skipped.
enum RouteAnswer: Sendable, Hashable {
    /// 0, or the errno with which a request failed.
    case result(Int32)
    /// The end of a list.
    case done
    case address(InterfaceAddress)
    case link(InterfaceLink)

    /// The answers in one datagram to the request with this sequence number.
    static func parse(_ datagram: ArraySlice<UInt8>, sequence: UInt32) -> [RouteAnswer] {
        var answers: [RouteAnswer] = []
        var rest = datagram
        while let length = rest.native(UInt32.self, at: 0).map(Int.init), length >= 16, length <= rest.count {
            let message = rest.prefix(length)
            if message.native(UInt32.self, at: 8) == sequence, let kind = message.native(UInt16.self, at: 4),
                let answer = parse(kind: kind, body: message.dropFirst(16))
            {
                answers.append(answer)
            }
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return answers
    }

    private static func parse(kind: UInt16, body: ArraySlice<UInt8>) -> RouteAnswer? {
        switch RouteMessage.Kind(rawValue: kind) {
        case .error: return body.native(Int32.self, at: 0).map { .result(0 &- $0) }
        case .done: return .done
        case .newAddress: return InterfaceAddress(body).map { .address($0) }
        case .newLink: return InterfaceLink(body).map { .link($0) }
        case .getLink, .deleteAddress, .getAddress, nil: return nil
        }
    }

    /// linux/rtnetlink.h, struct rtattr, one after the other.
    static func attributes(_ bytes: ArraySlice<UInt8>) -> [UInt16: ArraySlice<UInt8>] {
        var found: [UInt16: ArraySlice<UInt8>] = [:]
        var rest = bytes
        while let length = rest.native(UInt16.self, at: 0).map(Int.init), length >= 4, length <= rest.count {
            // The two upper bits are flags, not part of the type (linux/netlink.h, NLA_TYPE_MASK).
            if let type = rest.native(UInt16.self, at: 2) { found[type & 0x3fff] = rest.prefix(length).dropFirst(4) }
            rest = rest.dropFirst((length + 3) & ~3)
        }
        return found
    }
}

/// An address on an interface of this machine.
struct InterfaceAddress: Sendable, Hashable {
    var bytes: [UInt8]
    var prefixLength: UInt8
    var index: UInt32
    /// Seconds until the kernel removes the address; nil if it is permanent.
    var validSeconds: UInt32?

    init(bytes: [UInt8], prefixLength: UInt8, index: UInt32, validSeconds: UInt32? = nil) {
        self.bytes = bytes
        self.prefixLength = prefixLength
        self.index = index
        self.validSeconds = validSeconds
    }

    /// linux/if_addr.h, struct ifaddrmsg and its attributes.
    init?(_ body: ArraySlice<UInt8>) {
        guard body.count >= 8, let index = body.native(UInt32.self, at: 4) else { return nil }
        let attributes = RouteAnswer.attributes(body.dropFirst(8))
        // On a link to one peer, IFA_ADDRESS is the peer's.
        guard let address = attributes[RouteMessage.ifaLocal] ?? attributes[RouteMessage.ifaAddress] else { return nil }
        bytes = Array(address)
        prefixLength = body[body.startIndex + 1]
        self.index = index
        let valid = attributes[RouteMessage.ifaCacheInfo]?.native(UInt32.self, at: 4)
        validSeconds = valid == .max ? nil : valid
    }
}

/// An interface of this machine.
struct InterfaceLink: Sendable, Hashable {
    /// linux/if_arp.h, ARPHRD_*.
    var type: UInt16
    /// The link-layer address; empty if there is none.
    var address: [UInt8]

    /// linux/if_arp.h, ARPHRD_ETHER: only such interfaces have neighbours to notify.
    var isEthernet: Bool { type == 1 && address.count == 6 }

    /// linux/rtnetlink.h, struct ifinfomsg and its attributes.
    init?(_ body: ArraySlice<UInt8>) {
        guard body.count >= 16, let type = body.native(UInt16.self, at: 2) else { return nil }
        self.type = type
        address = Array(RouteAnswer.attributes(body.dropFirst(16))[RouteMessage.iflaAddress] ?? [])
    }
}

extension ArraySlice<UInt8> {
    /// A number in this machine's byte order; nil past the end.
    func native<Number: FixedWidthInteger>(_ type: Number.Type, at offset: Int) -> Number? {
        guard offset + MemoryLayout<Number>.size <= count else { return nil }
        return withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }
}
