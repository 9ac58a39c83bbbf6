import Glibc
import QQNetwork

/// An address at which a process answers HTTP requests: an IP address with a port, or the path of a Unix socket.
public enum ListenAddress: Sendable, Hashable, CustomStringConvertible {
    /// An address of 4 or 16 bytes in network order. Port 0 is any free port.
    case tcp([UInt8], port: UInt16)
    case unix(String)

    /// Why a text is not an address, and what to write instead.
    public struct Invalid: Error, Hashable {
        public var reason: String
        public var hint: String?
    }

    private static let unixPrefix = "unix:"
    /// The longest path in bytes: `sun_path` of unix(7), without its final NUL.
    static let longestPath = 107

    /// Parses `PORT`, `:PORT`, `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`. A host is an IP address or `localhost`; without one it is 127.0.0.1.
    public static func parse(_ text: String) throws(Invalid) -> ListenAddress {
        if text.hasPrefix(unixPrefix) { return .unix(try path(String(text.dropFirst(unixPrefix.count)))) }
        guard let colon = text.lastIndex(of: ":") else { return .tcp(loopback, port: try port(text)) }
        let host = String(text[..<colon])
        let number = String(text[text.index(after: colon)...])
        if host.hasPrefix("["), host.hasSuffix("]") {
            guard let address = IPAddress(String(host.dropFirst().dropLast())), address.bytes.count == 16 else {
                throw Invalid(reason: "not an IPv6 address: \(host)", hint: "write it as in [::1]:8080")
            }
            return .tcp(address.bytes, port: try port(number))
        }
        guard !host.contains(":") else {
            throw Invalid(
                reason: "not an address HOST:PORT",
                hint: host.contains("/")
                    ? "write only the address, such as 127.0.0.1:8080" : "put an IPv6 address in brackets, such as [::1]:8080")
        }
        if host.isEmpty || host == "localhost" { return .tcp(loopback, port: try port(number)) }
        guard let address = IPAddress(host) else {
            throw Invalid(
                reason: "not an IP address: \(host)",
                hint: host.contains("/")
                    ? "write unix:PATH for a socket in the file system" : "give an address of this machine, or 0.0.0.0 for all")
        }
        return .tcp(address.bytes, port: try port(number))
    }

    private static let loopback: [UInt8] = [127, 0, 0, 1]

    private static func port(_ text: String) throws(Invalid) -> UInt16 {
        let isNumber = !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        guard isNumber, let port = UInt16(text) else {
            throw Invalid(
                reason: "not a port from 0 to 65535: '\(text)'", hint: "write an address such as :8080, 10.0.0.5:8080 or unix:/run/qq.sock")
        }
        return port
    }

    private static func path(_ text: String) throws(Invalid) -> String {
        guard !text.isEmpty else { throw Invalid(reason: "the path is missing", hint: "write unix:PATH, such as unix:/run/qq.sock") }
        guard text.utf8.count <= longestPath else {
            throw Invalid(
                reason: "a path of \(text.utf8.count) bytes is too long for a socket", hint: "choose one of at most \(longestPath) bytes")
        }
        return text
    }

    public var description: String {
        switch self {
        case .unix(let path): Self.unixPrefix + path
        case .tcp(let address, let port): address.count == 16 ? "[\(Self.text(address))]:\(port)" : "\(Self.text(address)):\(port)"
        }
    }

    private static func text(_ address: [UInt8]) -> String {
        var buffer = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        var bytes = address
        guard inet_ntop(bytes.count == 16 ? AF_INET6 : AF_INET, &bytes, &buffer, socklen_t(buffer.count)) != nil else { return "?" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
