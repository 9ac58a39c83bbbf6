import NIOCore
import NIOSSL
import NIOTLS
import Synchronization

/// TLS on new connections to one host, and the check of the names in the server's certificate. Failures are kept here, because a library on top
/// only reports that the connection failed.
public final class TLSGuard: Sendable {
    private let options: TLSOptions
    private let expected: [String]
    private let protocols: [String]
    private let hint: String?
    private let found = Mutex<TLSFailure?>(nil)

    /// Why the last connection failed; nil if TLS was not the reason.
    public var failure: TLSFailure? { found.withLock { $0 } }

    /// - Parameters:
    ///   - host: the host to connect to.
    ///   - protocols: the protocols to offer by ALPN (RFC 7301), in order of preference.
    ///   - hint: what to do if the server does not speak TLS at this point.
    public init(_ options: TLSOptions, host: String, protocols: [String], hint: String?) {
        self.options = options
        self.protocols = protocols
        self.hint = hint
        expected = [options.serverName ?? host]
    }

    /// Adds TLS as the first handler of the channel.
    public func secure(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture { try add(to: channel, position: .first, promise: nil) }
    }

    /// Adds TLS as the last handler of a connected channel, and does the handshake. Call this on the event loop.
    /// - Returns: the protocol that the server has chosen; nil if it has chosen none.
    public func handshake(_ channel: any Channel) -> EventLoopFuture<String?> {
        let promise = channel.eventLoop.makePromise(of: String?.self)
        do { try add(to: channel, position: .last, promise: promise) } catch { promise.fail(error) }
        return promise.futureResult
    }

    private func add(
        to channel: any Channel, position: ChannelPipeline.SynchronousOperations.Position, promise: EventLoopPromise<String?>?
    ) throws {
        found.withLock { $0 = nil }
        do {
            let tls = try TLSContext.handler(options, for: expected, protocols: protocols)
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandler(tls, position: position)
            try pipeline.addHandler(Check(self, tls, promise), position: .after(tls))
        } catch let error as TLSFailure {
            found.withLock { $0 = error }
            throw error
        }
    }

    private final class Check: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let owner: TLSGuard
        private let tls: NIOSSLClientHandler
        /// Completed with the handshake.
        private var promise: EventLoopPromise<String?>?

        init(_ owner: TLSGuard, _ tls: NIOSSLClientHandler, _ promise: EventLoopPromise<String?>?) {
            self.owner = owner
            self.tls = tls
            self.promise = promise
        }

        private func complete(_ result: Result<String?, any Error>) {
            promise?.completeWith(result)
            promise = nil
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case TLSUserEvent.handshakeCompleted(let chosen) = event {
                do throws(TLSFailure) { try CertificateNames.check(tls.peerCertificate, isFor: owner.expected, owner.options) } catch {
                    owner.found.withLock { $0 = error }
                    context.close(promise: nil)
                    complete(.failure(error))
                    return
                }
                complete(.success(chosen))
            }
            context.fireUserInboundEventTriggered(event)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            let certificate = tls.peerCertificate
            let failure = TLSContext.reason(
                error, owner.options, certificate: certificate, hint: owner.hint)
            // Keep the first failure; the others are its consequences.
            owner.found.withLock { $0 = $0 ?? failure }
            if promise != nil {
                complete(.failure(owner.failure ?? error))
                context.close(promise: nil)
            }
            context.fireErrorCaught(error)
        }

        func channelInactive(context: ChannelHandlerContext) {
            complete(.failure(ChannelError.eof))
            context.fireChannelInactive()
        }
    }
}
