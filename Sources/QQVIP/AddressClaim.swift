import Glibc
import QQCore

/// Keeps a second `qq` of this machine from carrying the same address on the same interface: it would take away, as left behind, what the first one
/// carries. A socket in the abstract namespace is such a claim: it belongs to one network namespace, and ends with its process.
final class AddressClaim: Sendable {
    private let descriptor: CInt

    private init(_ descriptor: CInt) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// - Returns: nil where no claim can be laid, which stops nobody.
    /// - Throws: `.unavailable` where another process has it.
    static func make(_ address: VirtualAddress) throws(CoordinationError) -> AddressClaim? {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        let name = name(of: address)
        if with(name, { bind(descriptor, $0, $1) }) == 0 {
            // So that others can ask whose it is.
            listen(descriptor, SOMAXCONN)
            return AddressClaim(descriptor)
        }
        let other = errno == EADDRINUSE && with(name, { connect(descriptor, $0, $1) }) == 0 ? owner(descriptor) : nil
        close(descriptor)
        // Anybody can take such a name: only root and our own user are believed.
        guard let other, other.user == 0 || other.user == geteuid() else { return nil }
        throw CoordinationError(
            .unavailable, "cannot carry \(address)", because: "process \(other.pid) of this machine carries it already, or stands by to",
            at: "--vip",
            hint: "one qq on a machine carries an address: end that one first")
    }

    /// unix(7): a leading zero byte, and then the name.
    private static func name(of address: VirtualAddress) -> [UInt8] {
        UInt16(AF_UNIX).nativeBytes + [0] + Array("qq-vip/\(address.address)@\(address.interface)".utf8)
    }

    private static func with(_ name: [UInt8], _ body: (UnsafePointer<sockaddr>?, socklen_t) -> CInt) -> CInt {
        name.withUnsafeBytes { bytes in bytes.withMemoryRebound(to: sockaddr.self) { body($0.baseAddress, socklen_t(bytes.count)) } }
    }

    /// unix(7), SO_PEERCRED: who listens. struct ucred is process, user and group.
    private static func owner(_ descriptor: CInt) -> (pid: Int32, user: UInt32)? {
        var bytes = [UInt8](repeating: 0, count: 12)
        var length = socklen_t(bytes.count)
        guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &bytes, &length) == 0, let pid = bytes[...].native(Int32.self, at: 0),
            let user = bytes[...].native(UInt32.self, at: 4)
        else { return nil }
        return (pid, user)
    }
}
