import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import QQCore
import QQNetwork

/// One connection: bytes to operations, the handshake, TLS. Lives on the event loop.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What the client hears of a connection.
    enum Report {
        case ready(ServerInfo)
        case received
        case operation(ServerOperation)
        /// All that has arrived so far has been handed over.
        case pause
        /// The last report.
        case ended(NATSError)
    }

    private let options: NATSOptions
    private let address: NATSOptions.Address
    private var handshake: Handshake
    private var parser = NATSParser()
    private var isReady = false
    private var isSilent = false
    private var tls: NIOSSLClientHandler?
    private var report: ((Report) -> Void)?

    init(_ options: NATSOptions, _ address: NATSOptions.Address, report: @escaping (Report) -> Void) {
        self.options = options
        self.address = address
        self.report = report
        handshake = Handshake(options)
    }

    /// Nothing more is reported.
    func silence() { report = nil }

    func channelActive(context: ChannelHandlerContext) {
        isSilent = true
        advance(.connected, context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        isSilent = false
        report?(.received)
        buffer.withUnsafeReadableBytes { parser.append($0) }
        do throws(NATSError) {
            while report != nil, let operation = try parser.next() {
                if isReady {
                    if case .info(let info) = operation { parser.maximumPayload = max(parser.maximumPayload, info.maxPayload) }
                    report?(.operation(operation))
                } else {
                    try handle(handshake.handle(.operation(operation)), context)
                }
            }
        } catch { end(error, context) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        report?(.pause)
        context.fireChannelReadComplete()
    }

    /// A server that does not read is not read from either: it would be owed a PONG for each PING, without end. It says nothing then, and is cut for that.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        try? context.channel.syncOptions?.setOption(.autoRead, value: context.channel.isWritable)
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event {
            do throws(TLSFailure) { try CertificateNames.check(tls?.peerCertificate, isFor: expectedNames) } catch {
                return end(NATSError(error), context)
            }
            advance(.secured, context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let hint = options.tls.handshakeFirst ? "--tls-first is for servers that are configured with handshake_first" : nil
        let known = TLSContext.reason(error, options.tls.files, certificate: tls?.peerCertificate, hint: hint)
        end(known.map { NATSError($0) } ?? Self.plain(error), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        let reason = isReady ? "the server closed the connection" : "the server closed the connection at once"
        end(NATSError(.disconnected, reason, hint: silenceHint), context)
        context.fireChannelInactive()
    }

    private func advance(_ event: Handshake.Event, _ context: ChannelHandlerContext) {
        do throws(NATSError) { try handle(handshake.handle(event), context) } catch { end(error, context) }
    }

    private func handle(_ actions: [Handshake.Action], _ context: ChannelHandlerContext) throws(NATSError) {
        defer { context.flush() }
        for action in actions {
            switch action {
            case .startTLS: try startTLS(context)
            case .send(let operation):
                var bytes: [UInt8] = []
                try operation.encode(into: &bytes)
                context.write(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
            case .ready(let info):
                isReady = true
                parser.maximumPayload = max(parser.maximumPayload, info.maxPayload)
                report?(.ready(info))
            }
        }
    }

    private func startTLS(_ context: ChannelHandlerContext) throws(NATSError) {
        // Anybody on the way could have put it there, and it would count as if it had come through TLS.
        guard parser.isEmpty else { throw NATSError(.malformed, "the server spoke out of turn, before TLS began") }
        do {
            let security = try TLSContext.make(options.tls.files)
            let handler = try NIOSSLClientHandler(context: security, serverHostname: CertificateNames.indication(expectedNames))
            try context.pipeline.syncOperations.addHandler(handler, position: .first)
            tls = handler
        } catch let error as TLSFailure {
            throw NATSError(error)
        } catch { throw NATSError(.configuration, "TLS cannot be set up: \(error)") }
    }

    /// For whom the server's certificate must be, one of them. A server that another one told us of by its address may have a certificate for the cluster's
    /// name: those that we were told to use are as good.
    private var expectedNames: [String] {
        if let name = options.tls.files.serverName { return [name] }
        if options.servers.contains(address) { return [address.host] }
        return [address.host] + options.servers.map(\.host)
    }

    /// What it may mean that a server which took the connection has said nothing.
    var silenceHint: String? {
        isSilent && !options.tls.handshakeFirst ? "a server that says nothing may be one that begins with TLS: --tls-first" : nil
    }

    private func end(_ error: NATSError, _ context: ChannelHandlerContext) {
        guard let report else { return }
        self.report = nil
        context.close(promise: nil)
        report(.ended(NATSError(error.kind, error.reason, at: error.place ?? address.description, hint: error.hint)))
    }

    /// An error of the network, in an operator's words.
    static func plain(_ error: any Error) -> NATSError {
        error as? NATSError ?? NATSError(.disconnected, ConnectFailure.reason(error))
    }
}
