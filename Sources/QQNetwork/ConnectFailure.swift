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
        default: return "\(error)"
        }
    }
}
