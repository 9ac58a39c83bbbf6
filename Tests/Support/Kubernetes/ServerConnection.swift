import NIOCore
import NIOHTTP2
import NIOSSL
import QQCore

/// A connection to a `KubernetesServer`. On its event loop only.
final class ServerConnection {
    let channel: any Channel
    let server: KubernetesServer
    let front: ConnectionFront
    var isHTTP2 = false
    /// Requests that have begun and are not answered in full.
    private var running: [ObjectIdentifier: RequestHandler] = [:]
    private var requests = 0
    private var lastStream = 0
    private(set) var isDraining = false
    private var certificateUser: LeaseAPI.User??

    init(_ channel: any Channel, _ server: KubernetesServer) {
        (self.channel, self.server) = (channel, server)
        front = ConnectionFront(expectsTLS: server.settings.usesTLS, protocols: server.settings.protocols)
    }

    /// The user of the client certificate: CN is the name, each O a group.
    var user: LeaseAPI.User? {
        if let certificateUser { return certificateUser }
        let handler = try? channel.pipeline.syncOperations.handler(type: NIOSSLHandler.self)
        let user = handler?.peerCertificate.flatMap { try? $0.toDERBytes() }.flatMap(CertificateSubject.init(der:)).map { subject in
            LeaseAPI.User(subject.commonName, groups: subject.organizations)
        }
        certificateUser = .some(user)
        return user
    }

    func begin(_ request: RequestHandler, stream: Int?) {
        requests += 1
        running[ObjectIdentifier(request)] = request
        if let stream {
            lastStream = max(lastStream, stream)
            if server.settings.goAwayAfter == requests { drain() }
        }
    }

    func finish(_ request: RequestHandler) {
        guard running.removeValue(forKey: ObjectIdentifier(request)) != nil, isDraining, running.isEmpty else { return }
        closeSoon()
    }

    /// Closes after all answers have been written out, which HTTP/2 gathers until the end of a read.
    private func closeSoon() {
        channel.eventLoop.assumeIsolated().execute { [self] in
            channel.flush()
            channel.close(promise: nil)
        }
    }

    /// Takes no new requests, and closes when the present ones are done.
    func drain() {
        guard !isDraining else { return }
        isDraining = true
        if isHTTP2 {
            channel.writeAndFlush(
                HTTP2Frame(
                    streamID: .rootStream,
                    payload: .goAway(lastStreamID: HTTP2StreamID(lastStream), errorCode: .noError, opaqueData: nil)), promise: nil)
        }
        if running.isEmpty { closeSoon() }
    }

    /// Closes the connection without any farewell, also of TLS.
    func cut() { front.cut() }
}

/// The first handler of a connection. It sees what Go's server answers before there is TLS, and closes without TLS' farewell.
final class ConnectionFront: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let expectsTLS: Bool
    private let protocols: [String]
    private var context: ChannelHandlerContext?
    private var hello: ByteBuffer?
    private var hasBegun = false

    init(expectsTLS: Bool, protocols: [String]) { (self.expectsTLS, self.protocols) = (expectsTLS, protocols) }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func cut() { context?.close(promise: nil) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard expectsTLS, !hasBegun else { return context.fireChannelRead(data) }
        var buffer = hello ?? ByteBuffer()
        buffer.writeImmutableBuffer(unwrapInboundIn(data))
        hello = buffer
        let bytes = Array(buffer.readableBytesView)
        guard let first = bytes.first else { return }
        if first != 0x16 {
            hasBegun = true
            let text = "Client sent an HTTP request to an HTTPS server.\n"
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: "HTTP/1.0 400 Bad Request\r\n\r\n" + text)), promise: nil)
            return context.close(promise: nil)
        }
        guard bytes.count >= 5, bytes.count >= 5 + (Int(bytes[3]) << 8 | Int(bytes[4])) else { return }
        hasBegun = true
        hello = nil
        if let offered = ClientHello.protocols(bytes), !offered.isEmpty, !offered.contains(where: protocols.contains) {
            // A fatal alert: no_application_protocol (RFC 7301, section 3.2).
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: [0x15, 3, 3, 0, 2, 2, 120])), promise: nil)
            return context.close(promise: nil)
        }
        context.fireChannelRead(wrapInboundOut(buffer))
    }
}

/// The first message of a TLS connection (RFC 8446, section 4.1.2).
enum ClientHello {
    /// The protocols that the client offers by ALPN; nil if it offers none, or its first record is not a whole ClientHello.
    static func protocols(_ record: [UInt8]) -> [String]? {
        var reader = ByteReader(bytes: record[...])
        // Record header, handshake header, version and random.
        guard reader.skip(5 + 4 + 2 + 32), reader.block(1) != nil, reader.block(2) != nil, reader.block(1) != nil,
            var extensions = reader.block(2).map(ByteReader.init)
        else { return nil }
        while let type = extensions.number(2), let content = extensions.block(2) {
            guard type == 16 else { continue }
            var list = ByteReader(bytes: content)
            guard var names = list.block(2).map(ByteReader.init) else { return nil }
            var offered: [String] = []
            while let name = names.block(1) { offered.append(String(decoding: name, as: UTF8.self)) }
            return offered
        }
        return nil
    }
}

/// The subject of an X.509 certificate.
struct CertificateSubject: Sendable, Hashable {
    var commonName = ""
    var organizations: [String] = []

    /// Returns nil for bytes that are not a certificate with a common name.
    init?(der: [UInt8]) {
        var reader = ByteReader(bytes: der[...])
        guard var certificate = reader.element(0x30).map(ByteReader.init), var fields = certificate.element(0x30).map(ByteReader.init)
        else { return nil }
        _ = fields.element(0xA0)
        // Serial number, algorithm, issuer, validity.
        guard fields.element(0x02) != nil, fields.element(0x30) != nil, fields.element(0x30) != nil, fields.element(0x30) != nil,
            var subject = fields.element(0x30).map(ByteReader.init)
        else { return nil }
        while var set = subject.element(0x31).map(ByteReader.init), var pair = set.element(0x30).map(ByteReader.init) {
            guard let kind = pair.element(0x06), let text = pair.anyElement() else { return nil }
            switch Array(kind) {
            case [0x55, 4, 3]: commonName = String(decoding: text, as: UTF8.self)
            case [0x55, 4, 10]: organizations.append(String(decoding: text, as: UTF8.self))
            default: break
            }
        }
        if commonName.isEmpty { return nil }
    }
}

/// Reads numbers and blocks with their lengths in front.
private struct ByteReader {
    var bytes: ArraySlice<UInt8>

    mutating func skip(_ count: Int) -> Bool {
        guard bytes.count >= count else { return false }
        bytes.removeFirst(count)
        return true
    }

    mutating func number(_ width: Int) -> Int? {
        guard bytes.count >= width else { return nil }
        defer { bytes.removeFirst(width) }
        return bytes.prefix(width).reduce(0) { $0 << 8 | Int($1) }
    }

    /// A block whose length has `width` bytes.
    mutating func block(_ width: Int) -> ArraySlice<UInt8>? { number(width).flatMap { take($0) } }

    private mutating func take(_ count: Int) -> ArraySlice<UInt8>? {
        guard bytes.count >= count else { return nil }
        defer { bytes.removeFirst(count) }
        return bytes.prefix(count)
    }

    /// The content of a DER element, if it has this tag.
    mutating func element(_ tag: UInt8) -> ArraySlice<UInt8>? { bytes.first == tag ? anyElement() : nil }

    mutating func anyElement() -> ArraySlice<UInt8>? {
        guard number(1) != nil, let length = number(1) else { return nil }
        return length < 128 ? take(length) : number(length - 128).flatMap { take($0) }
    }
}
