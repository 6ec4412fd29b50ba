//! Telemetry: of two lengths, a message and one that follows it.

/// 104 bytes.
pub const SHORT: [&str; 2] = [
    concat!(
        r#"{"device":"sensor-1041","seq":6,"ts":1790000001519,"readings":[{"n":"temperature","#,
        r#""v":36.16,"ok":true}]}"#,
    ),
    concat!(
        r#"{"device":"sensor-1040","seq":7,"ts":1790000001781,"readings":[{"n":"temperature","#,
        r#""v":24.87,"ok":true}]}"#,
    ),
];

/// 994 and 991 bytes.
pub const LONG: [&str; 2] = [
    concat!(
        r#"{"device":"sensor-1041","seq":6,"ts":1790000001536,"readings":[{"n":"temperature","#,
        r#""v":39.56,"ok":true},{"n":"humidity","v":37.89,"ok":true},{"n":"pressure","v":39.18,"#,
        r#""ok":true},{"n":"voltage","v":43.96,"ok":true},{"n":"current","v":26.56,"ok":true},"#,
        r#"{"n":"rssi","v":39.06,"ok":true},{"n":"co2","v":33.57,"ok":false},{"n":"lux","v":47.86,"#,
        r#""ok":true},{"n":"temperature","v":22.18,"ok":false},{"n":"humidity","v":30.24,"#,
        r#""ok":true},{"n":"pressure","v":27.37,"ok":true},{"n":"voltage","v":49.85,"ok":true},"#,
        r#"{"n":"current","v":45.34,"ok":true},{"n":"rssi","v":34.81,"ok":true},{"n":"co2","#,
        r#""v":24.19,"ok":true},{"n":"lux","v":38.88,"ok":false},{"n":"temperature","v":41.59,"#,
        r#""ok":true},{"n":"humidity","v":39.13,"ok":true},{"n":"pressure","v":49.89,"ok":true},"#,
        r#"{"n":"voltage","v":23.98,"ok":true},{"n":"current","v":48.61,"ok":true},{"n":"rssi","#,
        r#""v":29.38,"ok":true},{"n":"co2","v":43.38,"ok":true},{"n":"lux","v":35.64,"ok":false},"#,
        r#"{"n":"temperature","v":43.01,"ok":true},{"n":"humidity","v":27.86,"ok":true}]}"#,
    ),
    concat!(
        r#"{"device":"sensor-1041","seq":7,"ts":1790000001784,"readings":[{"n":"temperature","#,
        r#""v":27.22,"ok":true},{"n":"humidity","v":30.44,"ok":true},{"n":"pressure","v":28.95,"#,
        r#""ok":true},{"n":"voltage","v":38.92,"ok":true},{"n":"current","v":38.32,"ok":true},"#,
        r#"{"n":"rssi","v":21.89,"ok":false},{"n":"co2","v":20.75,"ok":true},{"n":"lux","v":38.08,"#,
        r#""ok":true},{"n":"temperature","v":30.72,"ok":true},{"n":"humidity","v":36.31,"ok":true},"#,
        r#"{"n":"pressure","v":20.81,"ok":true},{"n":"voltage","v":34.65,"ok":true},{"n":"current","#,
        r#""v":35.59,"ok":true},{"n":"rssi","v":23.38,"ok":true},{"n":"co2","v":37.47,"ok":true},"#,
        r#"{"n":"lux","v":37.00,"ok":true},{"n":"temperature","v":22.29,"ok":true},{"n":"humidity","#,
        r#""v":43.44,"ok":true},{"n":"pressure","v":40.49,"ok":true},{"n":"voltage","v":47.98,"#,
        r#""ok":true},{"n":"current","v":34.73,"ok":true},{"n":"rssi","v":20.99,"ok":true},"#,
        r#"{"n":"co2","v":28.04,"ok":true},{"n":"lux","v":44.61,"ok":true},{"n":"temperature","#,
        r#""v":37.80,"ok":true},{"n":"humidity","v":28.04,"ok":true}]}"#,
    ),
];
