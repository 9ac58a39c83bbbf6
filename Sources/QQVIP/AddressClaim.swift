import Glibc
import QQCore

/// Keeps a second `qq` on this machine from carrying the same address on the same interface: it would take the first one's address for a
/// left-behind one and remove it. The claim is a socket in the abstract namespace, which belongs to one network namespace and ends with its
/// process.
final class AddressClaim: Sendable {
    private let descriptor: CInt

    private init(_ descriptor: CInt) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// - Returns: nil if the claim cannot be made, which prevents nothing.
    /// - Throws: `.unavailable` if another process has the claim.
    static func make(_ address: VirtualAddress) throws(CoordinationError) -> AddressClaim? {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        let name = name(of: address)
        if with(name, { bind(descriptor, $0, $1) }) == 0 {
            // Listening lets other processes find out who has the claim.
            listen(descriptor, SOMAXCONN)
            return AddressClaim(descriptor)
        }
        let other = errno == EADDRINUSE && with(name, { connect(descriptor, $0, $1) }) == 0 ? owner(descriptor) : nil
        close(descriptor)
        // Any user can bind such a name. Only root and this user are believed.
        guard let other, other.user == 0 || other.user == geteuid() else { return nil }
        throw CoordinationError(
            .unavailable, "cannot carry \(address)", because: "process \(other.pid) on this machine already carries it or is waiting to",
            at: "--vip",
            hint: "only one qq per machine can carry an address: end that one first")
    }

    /// unix(7): a leading zero byte, followed by the name.
    private static func name(of address: VirtualAddress) -> [UInt8] {
        UInt16(AF_UNIX).nativeBytes + [0] + Array("qq-vip/\(address.address)@\(address.interface)".utf8)
    }

    private static func with(_ name: [UInt8], _ body: (UnsafePointer<sockaddr>?, socklen_t) -> CInt) -> CInt {
        name.withUnsafeBytes { bytes in bytes.withMemoryRebound(to: sockaddr.self) { body($0.baseAddress, socklen_t(bytes.count)) } }
    }

    /// The process that listens, by SO_PEERCRED (unix(7)). struct ucred is process, user and group.
    private static func owner(_ descriptor: CInt) -> (pid: Int32, user: UInt32)? {
        var bytes = [UInt8](repeating: 0, count: 12)
        var length = socklen_t(bytes.count)
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &bytes, &length) == 0, let pid = bytes[...].native(Int32.self, at: 0),
            let user = bytes[...].native(UInt32.self, at: 4)
        else { return nil }
        return (pid, user)
    }
}
