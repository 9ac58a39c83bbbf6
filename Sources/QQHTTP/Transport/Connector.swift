import Glibc
import NIOCore
import NIOPosix
import QQNetwork

/// How connections to the server are made.
struct Connector: Sendable {
    let server: HTTPServer
    let settings: HTTPSettings

    /// The host to connect to.
    fileprivate var first: (host: String, port: Int) {
        settings.proxy.map { ($0.host, $0.port) } ?? (server.host, server.port)
    }

    fileprivate var bootstrap: ClientBootstrap {
        // Over HTTP/1.1 only the kernel can find a silent connection dead.
        let idle = Int(min(max(1, settings.keepalive.components.seconds), 32_767))
        return ClientBootstrap(group: NetworkThread.eventLoop)
            .connectTimeout(TimeAmount(settings.connectTimeout))
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.socketOption(.so_keepalive), value: 1)
            .channelOption(ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_KEEPIDLE)), value: idle)
            .channelOption(ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_KEEPINTVL)), value: max(1, idle / 3))
            .channelOption(ChannelOptions.Types.SocketOption(level: .tcp, name: .init(rawValue: TCP_KEEPCNT)), value: 3)
    }

    // MARK: Proxy

    /// Has the proxy connect to the server.
    fileprivate func pass(_ channel: any Channel) -> EventLoopFuture<Void> {
        guard let proxy = settings.proxy else { return channel.eventLoop.makeSucceededVoidFuture() }
        let handshake: any ProxyHandshake =
            proxy.scheme == .socks5 ? SOCKSHandshake(server, proxy.login) : ConnectHandshake(server, proxy.login)
        guard proxy.scheme == .https else { return ProxyHandler.run(handshake, on: channel) }
        let tls = TLSGuard(proxyOptions, host: proxy.host, protocols: [], hint: "without TLS, the proxy's URL begins with http://")
        return tls.handshake(channel)
            .flatMapErrorThrowing { error in
                guard var failure = error as? TLSFailure else { throw error }
                failure.location = failure.location ?? proxy.description
                throw failure
            }
            .flatMap { _ in ProxyHandler.run(handshake, on: channel) }
    }

    /// The proxy may have its certificate from an authority of the system's, or the server's. It is not shown the client certificate.
    private var proxyOptions: TLSOptions {
        var options = settings.tls
        options.trustsSystem = true
        options.certificate = nil
        options.key = nil
        options.serverName = nil
        options.subject = "the proxy"
        return options
    }

    // MARK: TLS

    fileprivate var tls: TLSGuard? {
        server.scheme == .http
            ? nil
            : TLSGuard(
                settings.tls, host: server.host, protocols: ["h2", "http/1.1"], hint: settings.plainTextHint)
    }

    // MARK: Failures

    func failure(_ error: any Error, _ tls: TLSGuard?) -> HTTPFailure {
        func failure(_ kind: HTTPFailure.Kind, _ reason: String, tls: TLSFailure? = nil, hint: String? = nil) -> HTTPFailure {
            HTTPFailure(kind, reason, at: tls?.location ?? server.endpoint, wasSent: false, tls: tls, hint: hint)
        }
        switch error {
        case let error as HTTPFailure: return error
        case let error as TLSFailure: return failure(.notConnected, error.reason, tls: error)
        case let error as ProxyRefusal:
            return HTTPFailure(.refusedByProxy, error.reason, at: settings.proxy?.description ?? "", wasSent: false, hint: error.hint)
        case let error as ConnectionEnded:
            let loss = error.loss.meaning(isProven: false, tls)
            return failure(.notConnected, loss.reason, tls: loss.tls, hint: loss.hint)
        case let error as ChannelError where error == .eof || error == .ioOnClosedChannel || error == .alreadyClosed:
            return failure(.notConnected, "the server ended the connection while it was being made")
        default:
            let reason = ConnectFailure.reason(error)
            guard let proxy = settings.proxy else { return failure(.notConnected, reason) }
            return HTTPFailure(
                .notConnected, "cannot connect to the proxy: \(reason)", at: proxy.description, wasSent: false,
                hint: ConnectFailure.hint(reason))
        }
    }
}

/// One try to make a connection, with all handshakes. Used on the network thread only, which is why `Sendable` is unchecked.
final class ConnectionAttempt: @unchecked Sendable {
    typealias Setup = @Sendable (any Channel, _ isHTTP2: Bool, TLSGuard?) -> EventLoopFuture<any HTTPConnection & Sendable>
    typealias Completion = @Sendable (Result<any HTTPConnection & Sendable, HTTPFailure>) -> Void

    private let connector: Connector
    /// The channels that were opened, several if the host has several addresses.
    private var channels: [any Channel] = []
    private var completion: Completion?
    private var limit: Scheduled<Void>?
    /// Whether a request has waited in vain for this attempt.
    var isSuspect = false

    init(_ connector: Connector) { self.connector = connector }

    /// - Parameters:
    ///   - setup: makes a connection of a channel.
    ///   - completion: called once, unless the attempt is cancelled.
    func start(_ setup: @escaping Setup, completion: @escaping Completion) {
        self.completion = completion
        let loop = NetworkThread.eventLoop
        let tls = connector.tls
        limit = loop.scheduleTask(in: TimeAmount(connector.settings.connectTimeout)) {
            self.complete(.failure(self.connector.failure(ChannelError.connectTimeout(.zero), nil)))
        }
        connect().flatMap { channel in
            self.connector.pass(channel)
                .flatMap { tls?.handshake(channel) ?? loop.makeSucceededFuture(nil) }
                .flatMap { chosen in setup(channel, chosen == "h2", tls) }
        }.whenComplete { result in
            self.complete(result.mapError { self.connector.failure($0, tls) })
        }
    }

    /// The library tries the addresses of a name side by side if the first does not answer soon (RFC 8305). An IP address is used as it is, because
    /// resolving takes threads of its own.
    private func connect() -> EventLoopFuture<any Channel> {
        let (host, port) = connector.first
        let bootstrap = connector.bootstrap.channelInitializer { channel in
            self.channels.append(channel)
            return channel.eventLoop.makeSucceededVoidFuture()
        }
        return switch try? SocketAddress(ipAddress: host, port: port) {
        case let address?: bootstrap.connect(to: address)
        case nil: bootstrap.connect(host: host, port: port)
        }
    }

    private func complete(_ result: Result<any HTTPConnection & Sendable, HTTPFailure>) {
        guard let completion else { return }
        self.completion = nil
        limit?.cancel()
        if case .failure = result { for channel in channels { channel.close(promise: nil) } }
        channels = []
        completion(result)
    }

    /// Ends the attempt without completing it.
    func cancel() {
        completion = nil
        limit?.cancel()
        for channel in channels { channel.close(promise: nil) }
        channels = []
    }
}
