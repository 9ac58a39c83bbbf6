import Glibc
import QQCore

/// Sends packets directly to neighbours (packet(7)).
///
/// The socket is kept open, because the kernel takes some 15 ms to close one.
final class PacketSocket: Sendable {
    private let descriptor: CInt

    /// - Throws: `SystemCallError`: EPERM without CAP_NET_RAW.
    init() throws(SystemCallError) {
        // With protocol 0 nothing is received.
        let type = CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        descriptor = try SystemCallError.check("socket", socket(AF_PACKET, type, 0))
    }

    deinit { close(descriptor) }

    func send(_ announcements: [Announcement], on interface: String) throws(SystemCallError) {
        let index = try RouteSocket.index(of: interface)
        for announcement in announcements {
            // linux/if_packet.h, struct sockaddr_ll: family, protocol, index, two fields for receivers, length and bytes of the address.
            let address =
                UInt16(AF_PACKET).nativeBytes + announcement.etherType.networkBytes + index.nativeBytes + [0, 0, 0]
                + [UInt8(announcement.destination.count)] + announcement.destination + [0, 0]
            let sent = address.withUnsafeBytes { bytes in
                bytes.withMemoryRebound(to: sockaddr.self) { address in
                    sendto(descriptor, announcement.payload, announcement.payload.count, 0, address.baseAddress, socklen_t(bytes.count))
                }
            }
            guard sent == announcement.payload.count else { throw SystemCallError("sendto") }
        }
    }
}
