import NIOCore
import NIOSSL
import NIOTLS
import QQNetwork
import Synchronization

/// TLS on a new connection, and the check of the names in the server's certificate. Failures are kept here, because gRPC only reports that
/// the connection failed.
final class TLSGuard: Sendable {
    private let options: TLSOptions
    private let expected: [String]
    private let found = Mutex<TLSFailure?>(nil)

    /// Why the last connection failed; nil if TLS was not the reason.
    var failure: TLSFailure? { found.withLock { $0 } }

    /// - Parameter host: the host to connect to.
    init(_ options: TLSOptions, host: String) {
        self.options = options
        expected = [options.serverName ?? host]
    }

    /// Adds TLS as the first handler of the channel.
    func secure(_ channel: any Channel) -> EventLoopFuture<Void> {
        found.withLock { $0 = nil }
        return channel.eventLoop.makeCompletedFuture {
            do {
                // The protocol's name in ALPN (RFC 9113, section 3.2).
                let context = try TLSContext.make(options, protocols: ["h2"])
                let tls = try NIOSSLClientHandler(context: context, serverHostname: CertificateNames.indication(expected))
                try channel.pipeline.syncOperations.addHandler(tls, position: .first)
                try channel.pipeline.syncOperations.addHandler(Check(self, tls), position: .after(tls))
            } catch let error as TLSFailure {
                found.withLock { $0 = error }
                throw error
            }
        }
    }

    private final class Check: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let owner: TLSGuard
        private let tls: NIOSSLClientHandler

        init(_ owner: TLSGuard, _ tls: NIOSSLClientHandler) {
            self.owner = owner
            self.tls = tls
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case TLSUserEvent.handshakeCompleted = event {
                do throws(TLSFailure) { try CertificateNames.check(tls.peerCertificate, isFor: owner.expected) } catch {
                    owner.found.withLock { $0 = error }
                    context.close(promise: nil)
                    return
                }
            }
            context.fireUserInboundEventTriggered(event)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            let certificate = tls.peerCertificate
            let failure = TLSContext.reason(
                error, owner.options, certificate: certificate, hint: "without TLS, the server's URL begins with qq:// or raftlock://")
            // Keep the first failure; the others are its consequences.
            owner.found.withLock { $0 = $0 ?? failure }
            context.fireErrorCaught(error)
        }
    }
}
