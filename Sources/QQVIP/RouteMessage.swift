/// One message to the kernel's routing socket, byte for byte; numbers are in this machine's byte order, as netlink requires.
///
/// Constants are those of linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h and linux/if_link.h.
struct RouteMessage: Sendable, Hashable {
    enum Kind: UInt16, Sendable {
        // linux/netlink.h
        case error = 2
        case done = 3
        // linux/rtnetlink.h: RTM_NEWLINK, RTM_GETLINK, RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR
        case newLink = 16
        case getLink = 18
        case newAddress = 20
        case deleteAddress = 21
        case getAddress = 22
    }

    /// linux/netlink.h, NLM_F_*.
    struct Flags: OptionSet, Sendable, Hashable {
        let rawValue: UInt16
        static let request = Flags(rawValue: 0x1)
        static let acknowledge = Flags(rawValue: 0x4)
        static let dump = Flags(rawValue: 0x300)
        static let replace = Flags(rawValue: 0x100)
        static let exclusive = Flags(rawValue: 0x200)
        static let create = Flags(rawValue: 0x400)
    }

    private(set) var bytes: [UInt8]

    /// linux/netlink.h, struct nlmsghdr: length, type, flags, sequence number, port.
    init(_ kind: Kind, _ flags: Flags, sequence: UInt32) {
        bytes = []
        append(UInt32(0))
        append(kind.rawValue)
        append(flags.union(.request).rawValue)
        append(sequence)
        append(UInt32(0))
        seal()
    }

    private mutating func append<Number: FixedWidthInteger>(_ number: Number) { bytes += number.nativeBytes }

    private mutating func seal() { bytes.replaceSubrange(0..<4, with: UInt32(bytes.count).nativeBytes) }

    /// linux/rtnetlink.h, struct rtattr: length, type, value, padded to four bytes.
    private mutating func attribute(_ type: UInt16, _ value: [UInt8]) {
        append(UInt16(4 + value.count))
        append(type)
        bytes += value + [UInt8](repeating: 0, count: -value.count & 3)
    }

    /// linux/if_addr.h, IFA_F_NODAD: no duplicate address detection, so that an IPv6 address works immediately.
    static let noDuplicateDetection: UInt8 = 0x02
    /// linux/if_addr.h, IFA_F_PERMANENT.
    static let permanent: UInt8 = 0x80

    // linux/if_addr.h
    static let ifaAddress: UInt16 = 1
    static let ifaLocal: UInt16 = 2
    static let ifaCacheInfo: UInt16 = 6
    // linux/if_link.h
    static let iflaAddress: UInt16 = 1

    /// linux/if_addr.h, struct ifaddrmsg, and the address.
    private mutating func append(_ address: VirtualAddress, index: UInt32, flags: UInt8) {
        bytes += [RouteMessage.family(isIPv6: address.isIPv6), address.prefixLength, flags, 0]
        append(index)
        attribute(Self.ifaLocal, address.bytes)
        attribute(Self.ifaAddress, address.bytes)
    }

    static func family(isIPv6: Bool) -> UInt8 { isIPv6 ? 10 : 2 }

    /// Puts an address on an interface for this many seconds.
    /// - Parameter replacing: whether an address that is already there gets the new lifetime; otherwise that is an error (EEXIST).
    static func add(_ address: VirtualAddress, index: UInt32, seconds: UInt32, replacing: Bool, sequence: UInt32) -> RouteMessage {
        var message = RouteMessage(.newAddress, [.acknowledge, .create, replacing ? .replace : .exclusive], sequence: sequence)
        message.append(address, index: index, flags: address.isIPv6 ? noDuplicateDetection : 0)
        // struct ifa_cacheinfo: preferred and valid lifetime in seconds, and two times that the kernel fills in.
        message.attribute(ifaCacheInfo, seconds.nativeBytes + seconds.nativeBytes + [UInt8](repeating: 0, count: 8))
        message.seal()
        return message
    }

    static func delete(_ address: VirtualAddress, index: UInt32, sequence: UInt32) -> RouteMessage {
        var message = RouteMessage(.deleteAddress, .acknowledge, sequence: sequence)
        message.append(address, index: index, flags: 0)
        message.seal()
        return message
    }

    /// Asks for every address of a family.
    static func addresses(isIPv6: Bool, sequence: UInt32) -> RouteMessage {
        var message = RouteMessage(.getAddress, .dump, sequence: sequence)
        message.bytes += [family(isIPv6: isIPv6), 0, 0, 0, 0, 0, 0, 0]
        message.seal()
        return message
    }

    /// Asks for one interface; linux/rtnetlink.h, struct ifinfomsg.
    static func link(index: UInt32, sequence: UInt32) -> RouteMessage {
        var message = RouteMessage(.getLink, [], sequence: sequence)
        message.bytes += [0, 0, 0, 0]
        message.append(index)
        message.append(UInt64(0))
        message.seal()
        return message
    }
}

extension FixedWidthInteger {
    /// The bytes in this machine's order.
    var nativeBytes: [UInt8] { withUnsafeBytes(of: self) { Array($0) } }

    /// The bytes in network order.
    var networkBytes: [UInt8] { bigEndian.nativeBytes }
}
