import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import QQCore

/// The reason why a connection could not be made, or broke, in an operator's words.
public enum ConnectFailure {
    /// - Returns: a reason such as "Connection refused"; for an error that the network does not explain, what is known, with the library's words behind.
    public static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: SystemCallError("connect", code: error.errnoCode).reason
        case let error as SystemCallError: error.reason
        case let error as ChannelError: reason(error)
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first {
                reason(first.error)
            } else if let failure = error.dnsAError ?? error.dnsAAAAError {
                unresolved(failure, error.host)
            } else {
                "the name has no address to connect to"
            }
        case let error as SocketAddressError.UnknownHost: unresolved(error, error.host)
        case is SocketAddressError: "this is not an address that qq can connect to"
        // The connection ended without the end that TLS prescribes, as it does when the peer's process or machine fails.
        case NIOSSLError.uncleanShutdown, is NIOAsyncWriterError, is NIOSSLCloseTimedOutError: lost
        case EventLoopError.shutdown, EventLoopError.cancelled: "interrupted"
        default: resolverReason(error) ?? ForeignError.reason("the connection failed", error)
        }
    }

    private static let lost = "the connection was lost"

    private static func reason(_ error: ChannelError) -> String {
        switch error {
        case .connectTimeout: "no answer in time"
        case .ioOnClosedChannel, .alreadyClosed, .outputClosed, .inputClosed, .eof: lost
        case .writeHostUnreachable: SystemCallError("connect", code: EHOSTUNREACH).reason
        default: ForeignError.reason("the connection failed", error)
        }
    }

    // MARK: Names

    private static let unknownHost = "no such host"
    private static let noNameServer = "the name cannot be resolved now: no name server answers"

    private static func unresolved(_ error: any Error, _ host: String) -> String {
        guard let error = error as? SocketAddressError.UnknownHost else { return "\(unknownHost): \(host)" }
        let reason = reason(resolver: CInt(truncatingIfNeeded: error.errorCode))
        return reason == unknownHost ? "\(unknownHost): \(host)" : reason
    }

    /// The reason by the code of getaddrinfo(3).
    private static func reason(resolver code: CInt) -> String {
        switch code {
        case EAI_NONAME: unknownHost
        case EAI_AGAIN: noNameServer
        default: "the name cannot be resolved: " + String(cString: gai_strerror(code))
        }
    }

    /// The reason if the error's text is the resolver's. The gRPC library passes it on in a type that is its own.
    private static func resolverReason(_ error: any Error) -> String? {
        let text = "\(error)"
        let code = [EAI_NONAME, EAI_AGAIN, EAI_FAIL, EAI_FAMILY, EAI_MEMORY, EAI_SYSTEM].first { String(cString: gai_strerror($0)) == text }
        return code.map { reason(resolver: $0) }
    }

    // MARK: Hints

    /// A hint for a connection failure with this reason; nil if there is none.
    public static func hint(_ reason: String) -> String? {
        if reason.hasPrefix(unknownHost) {
            return "check that the name is right, and that this machine can resolve it: getent hosts NAME"
        }
        return switch reason {
        case noNameServer: "check this machine's name servers (/etc/resolv.conf), and its network"
        case "Connection refused": "nothing listens there: check that the server runs, and that host and port are right"
        case "no answer in time", "not connected in time":
            "the server might be down, or a firewall in between might drop the packets; --timeout waits longer"
        case "No route to host", "Network is unreachable": "check that this machine has a route to it: ip route get ADDRESS"
        default: nil
        }
    }
}
