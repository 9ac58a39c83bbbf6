/// A packet that announces to the neighbours that this machine has an address: the bytes after the link layer's header.
struct Announcement: Sendable, Hashable {
    /// linux/if_ether.h, ETH_P_ARP or ETH_P_IPV6.
    var etherType: UInt16
    /// Link-layer address of all receivers.
    var destination: [UInt8]
    var payload: [UInt8]

    /// For IPv4, an ARP announcement and its form as a reply, because neighbours and switches differ in which one they accept. For IPv6, an
    /// unsolicited neighbour advertisement.
    /// - Parameter hardware: the interface's own address, six bytes.
    static func all(of address: VirtualAddress, from hardware: [UInt8]) -> [Announcement] {
        address.isIPv6
            ? [neighbourAdvertisement(address.bytes, hardware)]
            : [arp(operation: 1, address.bytes, hardware), arp(operation: 2, address.bytes, hardware)]
    }

    /// RFC 826; sender and target protocol address are the same (RFC 5227, section 3; RFC 5944, section 4.6). The Go manager sends only the reply
    /// (`arping -A`).
    private static func arp(operation: UInt16, _ address: [UInt8], _ hardware: [UInt8]) -> Announcement {
        let target = operation == 1 ? [UInt8](repeating: 0, count: 6) : hardware
        // Ethernet, IPv4, their sizes.
        let header = UInt16(1).networkBytes + UInt16(0x0800).networkBytes + [6, 4] + operation.networkBytes
        return Announcement(
            etherType: 0x0806, destination: [UInt8](repeating: 0xff, count: 6), payload: header + hardware + address + target + address)
    }

    /// RFC 4861, sections 4.4 and 7.2.6: to all nodes, with the override flag, not solicited, and with the interface's link-layer address.
    private static func neighbourAdvertisement(_ address: [UInt8], _ hardware: [UInt8]) -> Announcement {
        let everybody: [UInt8] = [0xff, 0x02] + [UInt8](repeating: 0, count: 13) + [1]
        // Type 136, code 0, checksum; flags (override), reserved; target; option 2 of 8 bytes: target link-layer address.
        var message: [UInt8] = [136, 0, 0, 0, 0x20, 0, 0, 0] + address + [2, 1] + hardware
        // RFC 8200, section 8.1: the checksum counts a pseudo-header too.
        let pseudo = address + everybody + UInt32(message.count).networkBytes + [0, 0, 0, 58]
        message.replaceSubrange(2..<4, with: checksum(pseudo + message).networkBytes)
        // Version 6, no class, no flow; length, ICMPv6, and the hop limit 255, without which receivers ignore it.
        let header: [UInt8] = [0x60, 0, 0, 0] + UInt16(message.count).networkBytes + [58, 255]
        // RFC 2464, section 7: the multicast address's last four bytes.
        return Announcement(
            etherType: 0x86dd, destination: [0x33, 0x33, 0, 0, 0, 1], payload: header + address + everybody + message)
    }

    /// RFC 1071.
    static func checksum(_ bytes: [UInt8]) -> UInt16 {
        var sum: UInt32 = 0
        for index in stride(from: 0, to: bytes.count, by: 2) {
            sum += UInt32(bytes[index]) << 8 | (index + 1 < bytes.count ? UInt32(bytes[index + 1]) : 0)
        }
        while sum > 0xffff { sum = (sum & 0xffff) + (sum >> 16) }
        return ~UInt16(sum)
    }
}
