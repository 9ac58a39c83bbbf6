import Glibc
import QQCore

/// A socket that accepts connections. It is closed when a program is started (close-on-exec).
struct ListenSocket {
    let descriptor: CInt
    /// With the port that the kernel has chosen, if any port was asked for.
    let address: ListenAddress
    /// The file of a Unix socket.
    let file: SocketFile?

    /// `[::]`, which is for both families, becomes `0.0.0.0` on a machine without IPv6.
    /// - Parameter create: creates a socket of an address family.
    /// - Throws: `.denied`; `.configuration` if a file of another kind has the path; `.unavailable` if another program listens there, or if this machine does
    ///   not have the address or the folder, which it can still get.
    static func open(_ address: ListenAddress, create: (CInt) -> CInt = stream) throws(CoordinationError) -> ListenSocket {
        let descriptor = create(family(of: address))
        guard descriptor >= 0 else {
            let error = SystemCallError("socket")
            if error.code == EAFNOSUPPORT, case .tcp(let bytes, let port) = address, bytes.count == 16, bytes.allSatisfy({ $0 == 0 }) {
                return try open(.tcp([0, 0, 0, 0], port: port), create: create)
            }
            throw failure(address, error)
        }
        do throws(CoordinationError) {
            switch address {
            case .tcp(let bytes, let port):
                return ListenSocket(
                    descriptor: descriptor, address: .tcp(bytes, port: try bind(descriptor, bytes, port, address)), file: nil)
            case .unix(let path):
                return ListenSocket(descriptor: descriptor, address: address, file: try SocketFile.bind(descriptor, path))
            }
        } catch {
            close(descriptor)
            throw error
        }
    }

    private static func stream(_ family: CInt) -> CInt {
        socket(family, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
    }

    private static func family(of address: ListenAddress) -> CInt {
        switch address {
        case .unix: AF_UNIX
        case .tcp(let bytes, _): bytes.count == 16 ? AF_INET6 : AF_INET
        }
    }

    /// - Returns: the port.
    private static func bind(
        _ descriptor: CInt, _ bytes: [UInt8], _ port: UInt16, _ address: ListenAddress
    ) throws(CoordinationError) -> UInt16 {
        var (on, off): (CInt, CInt) = (1, 0)
        // The port can be used again although connections of the process that had it are still ending.
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
        let result: CInt
        if bytes.count == 16 {
            // `[::]` is for both families, whatever the system's default.
            setsockopt(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, &off, socklen_t(MemoryLayout<CInt>.size))
            var name = sockaddr_in6()
            name.sin6_family = sa_family_t(AF_INET6)
            name.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: bytes) }
            result = withGenericAddress(&name) { Glibc.bind(descriptor, $0, $1) }
        } else {
            var name = sockaddr_in()
            name.sin_family = sa_family_t(AF_INET)
            name.sin_port = port.bigEndian
            withUnsafeMutableBytes(of: &name.sin_addr) { $0.copyBytes(from: bytes) }
            result = withGenericAddress(&name) { Glibc.bind(descriptor, $0, $1) }
        }
        guard result == 0 else { throw failure(address, SystemCallError("bind")) }
        guard listen(descriptor, Limits.backlog) == 0 else { throw failure(address, SystemCallError("listen")) }
        if port != 0 { return port }
        // The port has the same place in both kinds of addresses.
        var bound = sockaddr_in6()
        var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
        let named = withGenericAddress(&bound) { name, _ in getsockname(descriptor, UnsafeMutablePointer(mutating: name), &length) }
        guard named == 0 else { throw failure(address, SystemCallError("getsockname")) }
        return UInt16(bigEndian: bound.sin6_port)
    }

    static func failure(_ address: ListenAddress, _ error: SystemCallError) -> CoordinationError {
        switch error.code {
        case EADDRINUSE:
            CoordinationError(
                .unavailable, "cannot listen", because: "another program listens there", at: "\(address)",
                hint: "find it with 'ss -lxtp', or choose another address; port 0 is any free port")
        case EACCES, EPERM:
            CoordinationError(
                .denied, "cannot listen", because: error.reason, at: "\(address)",
                hint: address.isPrivileged ? "choose a port from 1024 on, or give this program CAP_NET_BIND_SERVICE" : nil)
        // An address can be added later, and the folder of a socket created: a service manager should try again.
        case EADDRNOTAVAIL:
            CoordinationError(
                .unavailable, "cannot listen", because: "this machine has no such address", at: "\(address)",
                hint: "see its addresses with 'ip addr', or give 0.0.0.0 or [::] for all")
        case ENOENT:
            CoordinationError(
                .unavailable, "cannot listen", because: error.reason, at: "\(address)",
                hint: "create the folder; systemd does so for a unit with RuntimeDirectory=")
        case ENOTDIR, EROFS, ELOOP: CoordinationError(.configuration, "cannot listen", because: error.reason, at: "\(address)")
        default: CoordinationError(.unavailable, "cannot listen", because: "\(error)", at: "\(address)")
        }
    }
}

extension ListenAddress {
    /// Whether only privileged processes can listen there by default (ip(7), `ip_unprivileged_port_start`).
    fileprivate var isPrivileged: Bool { if case .tcp(_, 1...1023) = self { true } else { false } }
}

/// Calls `body` with an address of any family in the form that system calls take.
func withGenericAddress<Name, Result>(_ name: inout Name, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    withUnsafeMutablePointer(to: &name) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<Name>.size)) }
    }
}
