import Testing

@testable import QQVIP

@Suite("Announcements to neighbours")
struct AnnouncementTests {
    private let hardware: [UInt8] = [2, 0, 0, 0, 0, 7]

    @Test("an IPv4 address is announced by an ARP announcement and the same as a reply, broadcast")
    func arp() throws {
        let all = Announcement.all(of: try VirtualAddress.parse("10.0.0.5/24@eth0"), from: hardware)
        #expect(all.allSatisfy { $0.etherType == 0x0806 && $0.destination == [255, 255, 255, 255, 255, 255] })
        let begin: [UInt8] = [0, 1, 8, 0, 6, 4, 0]
        #expect(
            all.map(\.payload) == [
                begin + [1] + hardware + [10, 0, 0, 5, 0, 0, 0, 0, 0, 0, 10, 0, 0, 5],
                begin + [2] + hardware + [10, 0, 0, 5] + hardware + [10, 0, 0, 5],
            ])
    }

    @Test("an IPv6 address is announced by an overriding neighbour advertisement to all nodes")
    func neighbourAdvertisement() throws {
        let address = try VirtualAddress.parse("2001:db8::5/64@eth0")
        let all = Announcement.all(of: address, from: hardware)
        let packet = try #require(all.first).payload
        #expect(all.count == 1)
        #expect(all[0].etherType == 0x86dd)
        #expect(all[0].destination == [0x33, 0x33, 0, 0, 0, 1])
        let everybody: [UInt8] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]
        #expect(Array(packet[0..<40]) == [0x60, 0, 0, 0, 0, 32, 58, 255] + address.bytes + everybody)
        #expect(Array(packet[40..<42]) == [136, 0])
        #expect(Array(packet[44...]) == [0x20, 0, 0, 0] + address.bytes + [2, 1] + hardware)
        // With the checksum in place, the sum over pseudo-header and message is zero.
        #expect(Announcement.checksum(address.bytes + everybody + [0, 0, 0, 32, 0, 0, 0, 58] + packet[40...]) == 0)
    }

    @Test("the checksum is the Internet checksum, as in RFC 1071's example")
    func checksum() {
        #expect(Announcement.checksum([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]) == ~0xddf2)
        #expect(Announcement.checksum([0xff]) == 0x00ff)
        #expect(Announcement.checksum([]) == 0xffff)
    }
}
