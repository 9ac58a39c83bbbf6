import Glibc

/// HAProxy, a load balancer of the field.
public enum HAProxy {
    /// The program, found by the same rules as in `Scripts/need`; nil if there is none.
    public static let path: String? = [unpacked + "/usr/sbin/haproxy", "/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].first {
        access($0, X_OK) == 0
    }

    private static let unpacked = packageFolder + "/.build/tools/haproxy"
    #if arch(arm64)
        private static let libraries = unpacked + "/usr/lib/aarch64-linux-gnu"
    #else
        private static let libraries = unpacked + "/usr/lib/x86_64-linux-gnu"
    #endif

    /// Starts the program with a configuration. An unpacked package has some of its libraries beside it.
    public static func launch(configuration: String, in sandbox: Sandbox) throws -> Launch {
        guard let path else { throw CannotStart("no haproxy: run Scripts/need test") }
        // -db: in the foreground.
        return sandbox.launch([path, "-db", "-f", configuration], environment: ["LD_LIBRARY_PATH": libraries])
    }
}
