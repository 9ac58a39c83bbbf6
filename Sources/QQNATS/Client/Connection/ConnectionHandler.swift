import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import QQCore
import QQNetwork

/// One connection: turns bytes into operations, and runs the handshake and TLS. Confined to the event loop.
final class ConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A connection's report to the client.
    enum Report {
        case ready(ServerInfo)
        case received
        case operation(ServerOperation)
        /// Everything that has arrived so far has been reported.
        case pause
        /// The connection has ended; this is its last report.
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

    /// Stops all further reports.
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

    /// Stops reading while the server does not read: otherwise PONGs for its PINGs would pile up without limit. The server then counts as silent and is cut.
    func channelWritabilityChanged(context: ChannelHandlerContext) {
        try? context.channel.syncOptions?.setOption(.autoRead, value: context.channel.isWritable)
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted = event {
            do throws(TLSFailure) { try CertificateNames.check(tls?.peerCertificate, isFor: expectedNames, options.tls.files) } catch {
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
        let reason = isReady ? "the server closed the connection" : "the server closed the connection immediately"
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
        // Anyone on the network path could have inserted these bytes, and they would count as received through TLS.
        guard parser.isEmpty else { throw NATSError(.malformed, "the server sent data out of turn, before TLS began") }
        do {
            let handler = try TLSContext.handler(options.tls.files, for: expectedNames)
            try context.pipeline.syncOperations.addHandler(handler, position: .first)
            tls = handler
        } catch let error as TLSFailure {
            throw NATSError(error)
        } catch { throw NATSError(.configuration, ForeignError.reason("TLS cannot be set up", error)) }
    }

    /// Names of which the server's certificate must have at least one. A server that another server announced by address might have a certificate for the
    /// cluster's name, so the names of the configured servers are accepted too.
    private var expectedNames: [String] {
        if let name = options.tls.files.serverName { return [name] }
        if options.servers.contains(address) { return [address.host] }
        return [address.host] + options.servers.map(\.host)
    }

    /// Hint for a server that accepted the connection but has sent nothing.
    var silenceHint: String? {
        isSilent && !options.tls.handshakeFirst ? "a server that sends nothing might expect TLS first: --tls-first" : nil
    }

    private func end(_ error: NATSError, _ context: ChannelHandlerContext) {
        guard let report else { return }
        self.report = nil
        context.close(promise: nil)
        report(.ended(NATSError(error.kind, error.reason, at: error.location ?? address.description, hint: error.hint)))
    }

    /// A network error in words for operators.
    static func plain(_ error: any Error) -> NATSError {
        error as? NATSError ?? NATSError(.disconnected, ConnectFailure.reason(error))
    }
}
