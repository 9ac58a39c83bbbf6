import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Synchronization

/// A client's connection to 127.0.0.1, with or without TLS, as bytes.
public final class RawConnection: Sendable {
    struct State {
        var received: [UInt8] = []
        var isClosed = false
        var failure: String?
        var negotiated: String?
        var version: String?
    }

    private static let threads = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    private let channel: any Channel
    fileprivate let state: BoxedState

    fileprivate final class BoxedState: Sendable {
        let value = Mutex(State())
    }

    /// Connects and, with TLS, finishes the handshake.
    /// - Parameters:
    ///   - authority: PEM file of the authority that TLS trusts; nil for no TLS.
    ///   - protocols: offered by ALPN.
    ///   - certificate: the client's.
    public static func connect(
        _ port: UInt16, authority: String?, protocols: [String] = [], certificate: Certificates.Pair? = nil, in sandbox: Sandbox
    ) async throws -> RawConnection {
        var context: NIOSSLContext?
        if let authority {
            var configuration = TLSConfiguration.makeClientConfiguration()
            configuration.trustRoots = .file(authority)
            configuration.applicationProtocols = protocols
            if let certificate {
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(certificate.certificate).map { .certificate($0) }
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: certificate.key, format: .pem))
            }
            context = try NIOSSLContext(configuration: configuration)
        }
        let (state, tls) = (BoxedState(), context)
        let channel = try await ClientBootstrap(group: threads).channelInitializer { channel in
            channel.eventLoop.makeCompletedFuture {
                if let tls {
                    try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: tls, serverHostname: "localhost"))
                }
                try channel.pipeline.syncOperations.addHandler(Collector(state, isReady: tls == nil))
            }
        }.connect(host: "127.0.0.1", port: Int(port)).get()
        let connection = RawConnection(channel, state)
        sandbox.atClose { channel.close(promise: nil) }
        if tls != nil {
            try await waitUntil("the end of the TLS handshake") { state.value.withLock { $0.version != nil || $0.isClosed } }
            if let failure = state.value.withLock({ $0.version == nil ? $0.failure ?? "closed" : nil }) { throw SocketError(failure) }
        }
        return connection
    }

    private init(_ channel: any Channel, _ state: BoxedState) { (self.channel, self.state) = (channel, state) }

    /// The protocol that ALPN chose.
    public var negotiated: String? { state.value.withLock { $0.negotiated } }
    /// `TLSv1.3`, …
    public var tlsVersion: String? { state.value.withLock { $0.version } }
    public var received: [UInt8] { state.value.withLock { $0.received } }
    public var text: String { String(decoding: received, as: UTF8.self) }
    /// Whether the server has closed the connection.
    public var isClosed: Bool { state.value.withLock { $0.isClosed } }

    public func send(_ bytes: [UInt8]) async { try? await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get() }

    public func send(_ text: String) async { await send(Array(text.utf8)) }

    /// Forgets what was received.
    public func clear() { state.value.withLock { $0.received = [] } }

    public func close() async { try? await channel.close().get() }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let state: BoxedState

        init(_ state: BoxedState, isReady: Bool) {
            self.state = state
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(unwrapInboundIn(data).readableBytesView)
            state.value.withLock { $0.received += bytes }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case TLSUserEvent.handshakeCompleted(let negotiated) = event {
                let handler = try? context.pipeline.syncOperations.handler(type: NIOSSLHandler.self)
                let version = handler?.tlsVersion.map { $0 == .tlsv13 ? "TLSv1.3" : "\($0)" } ?? "unknown"
                state.value.withLock { ($0.negotiated, $0.version) = (negotiated, version) }
            }
            context.fireUserInboundEventTriggered(event)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            state.value.withLock { $0.failure = $0.failure ?? "\(error)" }
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) { state.value.withLock { $0.isClosed = true } }
    }
}

/// Frames of HTTP/2 (RFC 9113, section 4), written and read without any library.
public struct RawHTTP2Frame: Sendable, Hashable {
    public var type: UInt8
    public var flags: UInt8
    public var stream: UInt32
    public var payload: [UInt8]

    /// `DATA`, `HEADERS`, …
    public var name: String {
        let names = [
            "DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION",
        ]
        return Int(type) < names.count ? names[Int(type)] : "\(type)"
    }

    /// The whole frames at the beginning of what a server sent.
    public static func parse(_ bytes: [UInt8]) -> [RawHTTP2Frame] {
        var frames: [RawHTTP2Frame] = []
        var rest = bytes[...]
        while rest.count >= 9 {
            let head = Array(rest.prefix(9))
            let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
            guard rest.count >= 9 + length else { break }
            let payload = Array(rest.dropFirst(9).prefix(length))
            frames.append(RawHTTP2Frame(type: head[3], flags: head[4], stream: number(head[5...]) & 0x7FFF_FFFF, payload: payload))
            rest = rest.dropFirst(9 + length)
        }
        return frames
    }

    public static func number(_ bytes: some Sequence<UInt8>) -> UInt32 { bytes.reduce(0) { $0 << 8 | UInt32($1) } }

    public var bytes: [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), type, flags]
            + [24, 16, 8, 0].map { UInt8(stream >> $0 & 255) } + payload
    }

    /// The first bytes of a client.
    public static let preface =
        Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + RawHTTP2Frame(type: 4, flags: 0, stream: 0, payload: []).bytes

    /// A GET as one HEADERS frame, all its fields literal (RFC 7541, section 6.2.2).
    public static func get(_ path: String, token: String?, stream: UInt32) -> [UInt8] {
        var fields = [(":method", "GET"), (":scheme", "https"), (":path", path), (":authority", "localhost")]
        if let token { fields.append(("authorization", "Bearer " + token)) }
        var block: [UInt8] = []
        for (name, value) in fields {
            block.append(0)
            for text in [name, value] { block += [UInt8(min(text.utf8.count, 126))] + text.utf8.prefix(126) }
        }
        return RawHTTP2Frame(type: 1, flags: 5, stream: stream, payload: block).bytes
    }
}
