import Glibc
import QQCore

/// The kernel's routing socket (rtnetlink(7)), for the network namespace in which it was made. Not for concurrent use.
final class RouteSocket: Sendable {
    private let descriptor: CInt

    /// - Throws: `SystemCallError`.
    convenience init() throws(SystemCallError) {
        // Protocol 0 is NETLINK_ROUTE (linux/netlink.h).
        self.init(try SystemCallError.check("socket", socket(AF_NETLINK, CInt(SOCK_RAW.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)))
    }

    /// Takes over a socket, and closes it at the end.
    init(_ descriptor: CInt) {
        self.descriptor = descriptor
        // The kernel answers during the request. The timeout only prevents an endless wait if it ever does not.
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// Sends a request, and reads the answers up to the last one.
    private func ask(_ message: RouteMessage, sequence: UInt32) throws(SystemCallError) -> [RouteAnswer] {
        // linux/netlink.h, struct sockaddr_nl: the kernel is port 0.
        let kernel = UInt16(AF_NETLINK).nativeBytes + [UInt8](repeating: 0, count: 10)
        let sent = kernel.withUnsafeBytes { kernel in
            kernel.withMemoryRebound(to: sockaddr.self) { address in
                sendto(descriptor, message.bytes, message.bytes.count, 0, address.baseAddress, socklen_t(kernel.count))
            }
        }
        guard sent == message.bytes.count else { throw SystemCallError("sendto") }
        var answers: [RouteAnswer] = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw SystemCallError("recv") }
            for answer in RouteAnswer.parse(buffer.prefix(count), sequence: sequence) {
                switch answer {
                case .done, .result(0): return answers
                case .result(let code): throw SystemCallError("rtnetlink", code: code)
                case .link: return [answer]
                case .address: answers.append(answer)
                }
            }
        }
    }

    private static func sequence() -> UInt32 { .random(in: 1 ... .max) }

    /// The number of an interface.
    static func index(of interface: String) throws(SystemCallError) -> UInt32 {
        let index = if_nametoindex(interface)
        guard index > 0 else { throw SystemCallError("if_nametoindex", code: ENODEV) }
        return index
    }

    static func name(of index: UInt32) -> String {
        var name = [CChar](repeating: 0, count: Int(IF_NAMESIZE))
        guard if_indextoname(index, &name) != nil else { return "interface \(index)" }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Every address of this machine of one family.
    func addresses(isIPv6: Bool) throws(SystemCallError) -> [InterfaceAddress] {
        let sequence = Self.sequence()
        return try ask(.addresses(isIPv6: isIPv6, sequence: sequence), sequence: sequence).compactMap { answer in
            if case .address(let address) = answer { address } else { nil }
        }
    }

    func link(index: UInt32) throws(SystemCallError) -> InterfaceLink? {
        let sequence = Self.sequence()
        for case .link(let link) in try ask(.link(index: index, sequence: sequence), sequence: sequence) { return link }
        return nil
    }

    /// Puts an address on its interface, or gives an address that is already there a new lifetime.
    /// - Returns: whether it was already there.
    func set(_ address: VirtualAddress, seconds: UInt32) throws(SystemCallError) -> Bool {
        let index = try Self.index(of: address.interface)
        do throws(SystemCallError) {
            let sequence = Self.sequence()
            _ = try ask(.add(address, index: index, seconds: seconds, replacing: false, sequence: sequence), sequence: sequence)
            return false
        } catch  where error.code == EEXIST {
            let sequence = Self.sequence()
            _ = try ask(.add(address, index: index, seconds: seconds, replacing: true, sequence: sequence), sequence: sequence)
            return true
        }
    }

    /// Removes an address from its interface.
    /// - Returns: whether it was there.
    func remove(_ address: VirtualAddress) throws(SystemCallError) -> Bool {
        let sequence = Self.sequence()
        do throws(SystemCallError) {
            _ = try ask(.delete(address, index: try Self.index(of: address.interface), sequence: sequence), sequence: sequence)
            return true
            // ENXIO: the interface has no addresses of this family at all. ENODEV: there is no such interface.
        } catch  where [EADDRNOTAVAIL, ENXIO, ENODEV].contains(error.code) { return false }
    }
}
