import Glibc
import NIOCore
import NIOPosix
import QQCore

/// Why a connection could not be made, or broke, in an operator's words.
public enum ConnectFailure {
    /// - Returns: such as "Connection refused"; the error's own text where it is no failure of the network.
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

    /// What the resolver says of a name that it does not know.
    private static let unknownHost = String(cString: gai_strerror(EAI_NONAME))

    /// What to do about a failure to connect that has this reason; nil where that is not known.
    public static func hint(_ reason: String) -> String? {
        if reason.hasPrefix("no such host") { return "see that the name is right, and that this machine can look it up: getent hosts NAME" }
        return switch reason {
        case "Connection refused": "nothing listens there: see that the server runs, and that host and port are right"
        case "no answer in time", "not connected in time": "it may be down, or a firewall in between; --timeout waits longer"
        case "No route to host", "Network is unreachable": "see that this machine has a way there: ip route get ADDRESS"
        default: nil
        }
    }
}
