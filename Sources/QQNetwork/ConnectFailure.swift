import Glibc
import NIOCore
import NIOPosix
import QQCore

/// The reason why a connection could not be made, or broke, in an operator's words.
public enum ConnectFailure {
    /// - Returns: a reason such as "Connection refused"; the error's own text if the network did not fail.
    public static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: return SystemCallError("connect", code: error.errnoCode).reason
        case ChannelError.connectTimeout: return "no answer in time"
        case let error as NIOConnectionError:
            if let first = error.connectionErrors.first { return reason(first.error) }
            if error.dnsAError != nil || error.dnsAAAAError != nil { return "no such host: \(error.host)" }
            return "cannot connect"
        default: return "\(error)" == unknownHost ? "no such host" : "\(error)"
        }
    }

    /// The resolver's text for a name that it does not know.
    private static let unknownHost = String(cString: gai_strerror(EAI_NONAME))

    /// A hint for a connection failure with this reason; nil if there is none.
    public static func hint(_ reason: String) -> String? {
        if reason.hasPrefix("no such host") {
            return "check that the name is right, and that this machine can resolve it: getent hosts NAME"
        }
        return switch reason {
        case "Connection refused": "nothing listens there: check that the server runs, and that host and port are right"
        case "no answer in time", "not connected in time":
            "the server might be down, or a firewall in between might drop the packets; --timeout waits longer"
        case "No route to host", "Network is unreachable": "check that this machine has a route to it: ip route get ADDRESS"
        default: nil
        }
    }
}
