/// The characters that the terminal can show.
enum Letters {
    /// Whether it can show more than ASCII, according to the environment. The Linux console cannot show enough.
    static var areUnicode: Bool {
        let locale = filledVariable("LC_ALL") ?? filledVariable("LC_CTYPE") ?? filledVariable("LANG") ?? ""
        let code = locale.drop { $0 != "." }.dropFirst().prefix { $0 != "@" }.lowercased()
        return ["utf-8", "utf8"].contains(code) && filledVariable("TERM") != "linux"
    }
}
