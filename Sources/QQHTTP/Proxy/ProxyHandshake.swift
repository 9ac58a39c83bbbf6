import NIOCore
import QQCore
import QQNetwork

/// Why a proxy did not connect.
struct ProxyRefusal: Error, Hashable {
    var reason: String
    var hint: String?
}

/// The words with which a proxy is asked to connect to a server. Pure.
protocol ProxyHandshake: Sendable {
    /// The first bytes to send.
    mutating func start() -> [UInt8]

    /// Takes the bytes that the proxy has sent and that were not used yet.
    /// - Throws: `ProxyRefusal`.
    mutating func receive(_ bytes: inout ByteBuffer) throws(ProxyRefusal) -> ProxyStep
}

enum ProxyStep: Hashable {
    case needsMore
    case send([UInt8])
    /// The remaining bytes come from the server.
    case connected
}

/// CONNECT (RFC 9110, section 9.3.6).
struct ConnectHandshake: ProxyHandshake {
    private static let maximumAnswer = 16 * 1024
    private let target: String
    private let login: HTTPProxy.Login?

    init(_ server: HTTPServer, _ login: HTTPProxy.Login?) {
        target = server.endpoint
        self.login = login
    }

    mutating func start() -> [UInt8] {
        var text = "CONNECT \(target) HTTP/1.1\r\nHost: \(target)\r\n"
        if let login { text += "Proxy-Authorization: Basic \(Base64.encode(Array("\(login.user):\(login.password)".utf8)))\r\n" }
        return Array((text + "\r\n").utf8)
    }

    mutating func receive(_ bytes: inout ByteBuffer) throws(ProxyRefusal) -> ProxyStep {
        // A loop, because the number of interim answers is up to the proxy.
        while true { if let step = try receiveAnswer(&bytes) { return step } }
    }

    /// - Returns: nil after an interim answer (1xx), which another one follows.
    private func receiveAnswer(_ bytes: inout ByteBuffer) throws(ProxyRefusal) -> ProxyStep? {
        let view = bytes.readableBytesView
        guard view.prefix(5).elementsEqual("HTTP/".utf8.prefix(view.count)) else {
            throw ProxyRefusal(reason: "the proxy does not speak HTTP")
        }
        guard let end = Self.end(of: view) else {
            guard view.count < Self.maximumAnswer else { throw ProxyRefusal(reason: "the proxy does not speak HTTP") }
            return .needsMore
        }
        let line = view.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
        let words = line.split(separator: UInt8(ascii: " "), maxSplits: 2).map { String(decoding: $0, as: UTF8.self) }
        guard words.count >= 2, let status = Int(words[1]), 100...599 ~= status else {
            throw ProxyRefusal(reason: "the proxy does not speak HTTP")
        }
        bytes.moveReaderIndex(to: end)
        switch status {
        case 100..<200: return nil
        case 200..<300: return .connected
        case 407:
            throw ProxyRefusal(
                reason: login == nil
                    ? "the proxy requires a user and a password (407)" : "the proxy does not accept the user or the password (407)",
                hint: "the proxy's URL can contain them: http://USER:PASSWORD@HOST:PORT")
        default:
            let words = words.count > 2 ? " \(Printable.text(words[2]))" : ""
            throw ProxyRefusal(reason: "the proxy refused to connect to \(target): \(status)\(words)")
        }
    }

    /// The index after the empty line that ends the head; nil if it has not come yet.
    private static func end(of view: ByteBufferView) -> Int? {
        var isLineEmpty = false
        for index in view.indices {
            switch view[index] {
            case UInt8(ascii: "\n"):
                if isLineEmpty { return index + 1 }
                isLineEmpty = true
            case UInt8(ascii: "\r"): break
            default: isLineEmpty = false
            }
        }
        return nil
    }
}

/// SOCKS 5 (RFC 1928), with user and password (RFC 1929).
struct SOCKSHandshake: ProxyHandshake {
    private enum State {
        case greeted, authenticating, asked
    }

    private let server: HTTPServer
    private let login: HTTPProxy.Login?
    private var state = State.greeted

    init(_ server: HTTPServer, _ login: HTTPProxy.Login?) {
        self.server = server
        self.login = login
    }

    private static let version: UInt8 = 5
    private static let notSOCKS = ProxyRefusal(reason: "the proxy does not speak SOCKS 5")

    mutating func start() -> [UInt8] { login == nil ? [Self.version, 1, 0] : [Self.version, 2, 0, 2] }

    mutating func receive(_ bytes: inout ByteBuffer) throws(ProxyRefusal) -> ProxyStep {
        switch state {
        case .greeted:
            guard let answer = bytes.readBytes(length: 2) else { return .needsMore }
            guard answer[0] == Self.version else { throw Self.notSOCKS }
            switch answer[1] {
            case 0: return try ask()
            case 2:
                guard let login else { throw Self.notSOCKS }
                state = .authenticating
                let (user, password) = (Array(login.user.utf8), Array(login.password.utf8))
                return .send([1, UInt8(clamping: user.count)] + user + [UInt8(clamping: password.count)] + password)
            default:
                throw ProxyRefusal(
                    reason: login == nil ? "the proxy requires a user and a password" : "the proxy accepts no user and password",
                    hint: login == nil ? "the proxy's URL can contain them: socks5://USER:PASSWORD@HOST:PORT" : nil)
            }
        case .authenticating:
            guard let answer = bytes.readBytes(length: 2) else { return .needsMore }
            guard answer[1] == 0 else { throw ProxyRefusal(reason: "the proxy does not accept the user or the password") }
            return try ask()
        case .asked: return try receiveReply(&bytes)
        }
    }

    private mutating func ask() throws(ProxyRefusal) -> ProxyStep {
        state = .asked
        let address: [UInt8]
        switch IPAddress(server.host)?.bytes {
        case let bytes? where bytes.count == 4: address = [1] + bytes
        case let bytes?: address = [4] + bytes
        case nil:
            let name = Array(server.host.utf8)
            // One byte tells the length: a name that was cut would be that of another server.
            guard name.count <= UInt8.max else { throw ProxyRefusal(reason: "SOCKS 5 has no room for a host name of more than 255 bytes") }
            address = [3, UInt8(name.count)] + name
        }
        return .send(
            [Self.version, 1, 0] + address + [UInt8(truncatingIfNeeded: server.port >> 8), UInt8(truncatingIfNeeded: server.port)])
    }

    private func receiveReply(_ bytes: inout ByteBuffer) throws(ProxyRefusal) -> ProxyStep {
        let view = bytes.readableBytesView
        guard view.count >= 5 else { return .needsMore }
        let head = Array(view.prefix(5))
        guard head[0] == Self.version else { throw Self.notSOCKS }
        guard head[1] == 0 else {
            throw ProxyRefusal(reason: "the proxy refused to connect to \(server.endpoint): \(Self.reason(head[1]))")
        }
        let size: Int
        switch head[3] {
        case 1: size = 4
        case 3: size = 1 + Int(head[4])
        case 4: size = 16
        default: throw Self.notSOCKS
        }
        guard bytes.readBytes(length: 4 + size + 2) != nil else { return .needsMore }
        return .connected
    }

    /// RFC 1928, section 6.
    private static func reason(_ code: UInt8) -> String {
        switch code {
        case 2: "its rules do not allow it"
        case 3: "Network is unreachable"
        case 4: "Host is unreachable"
        case 5: "Connection refused"
        case 6: "no answer in time"
        case 8: "it cannot use addresses of this kind"
        default: "failure \(code)"
        }
    }
}
