import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import QQCore

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
    private var isSecuring = false
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
        advance(.connected, context)
        context.fireChannelActive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
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

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event {
            isSecuring = false
            advance(.secured, context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(Self.plain(error), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(NATSError(.disconnected, isReady ? "the server closed the connection" : "the server closed the connection at once"), context)
        context.fireChannelInactive()
    }

    private func advance(_ event: Handshake.Event, _ context: ChannelHandlerContext) {
        do throws(NATSError) { try handle(handshake.handle(event), context) } catch { end(error, context) }
    }

    private func handle(_ actions: [Handshake.Action], _ context: ChannelHandlerContext) throws(NATSError) {
        for action in actions {
            switch action {
            case .startTLS: try startTLS(context)
            case .send(let operation):
                var bytes: [UInt8] = []
                try operation.encode(into: &bytes)
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
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
        let tls = try TLSContext.make(options.tls)
        let name = options.tls.serverName ?? address.host
        isSecuring = true
        do {
            // A certificate may be for an address, but SNI names hosts only (RFC 6066, section 3).
            let isAddress = (try? SocketAddress(ipAddress: name, port: 0)) != nil
            let handler = try NIOSSLClientHandler(context: tls, serverHostname: isAddress ? nil : name)
            try context.pipeline.syncOperations.addHandler(handler, position: .first)
        } catch { throw NATSError(.configuration, "TLS cannot be set up: \(error)") }
    }

    private func end(_ error: NATSError, _ context: ChannelHandlerContext) {
        guard let report else { return }
        self.report = nil
        context.close(promise: nil)
        report(.ended(NATSError(error.kind, error.reason, at: error.place ?? address.description)))
    }

    /// An error of the network or of TLS, in an operator's words.
    static func plain(_ error: any Error) -> NATSError {
        if let error = error as? NATSError { return error }
        if let known = TLSContext.reason(error) { return known }
        switch error {
        case let error as IOError: return NATSError(.disconnected, SystemCallError("connect", code: error.errnoCode).reason)
        case let error as ChannelError:
            if case .connectTimeout = error { return NATSError(.disconnected, "no answer in time") }
            return NATSError(.disconnected, "\(error)")
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first { return plain(first.error) }
            if error.dnsAError != nil || error.dnsAAAAError != nil { return NATSError(.disconnected, "no such host: \(error.host)") }
            return NATSError(.disconnected, "cannot connect")
        default: return NATSError(.disconnected, "\(error)")
        }
    }
}
