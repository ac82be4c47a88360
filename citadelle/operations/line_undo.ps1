& netsh.exe advfirewall import "$folder\firewall.wfw" | Out-Null
if ($LASTEXITCODE -ne 0) { throw "netsh advfirewall import: exit code $LASTEXITCODE" }
foreach ($name in 'sshd_config', 'administrators_authorized_keys') {
    $file = $env:ProgramData + "\ssh\$name"
    if (Test-Path -LiteralPath "$folder\$name") { Copy-Item -LiteralPath "$folder\$name" -Destination $file -Force }
    elseif (Test-Path -LiteralPath $file) { Remove-Item -LiteralPath $file -Force }
}
Restart-Service -Name sshd -Force
$wsl = '{40E0AC32-46A5-438A-A0B2-2B479E8F2E90}'
$former = ConvertFrom-Json ([string](Get-Content -LiteralPath "$folder\former.json" -Raw -Encoding UTF8))
if ($block_engine_wsl) { Remove-NetFirewallHyperVRule -Name 'citadelle-block-engine' -ErrorAction SilentlyContinue }
foreach ($rule in @($former.rules | Where-Object { $_ })) {
    $values = @{}
    foreach ($property in $rule.PSObject.Properties) { $values[$property.Name] = $property.Value }
    New-NetFirewallHyperVRule @values | Out-Null
}
for ($at = 0; $at -lt $hyperv_properties.Count; $at++) {
    $value = @{ $hyperv_properties[$at] = [string]@($former.values)[$at] }
    Set-NetFirewallHyperVVMSetting -Name $wsl @value
}
foreach ($proxy in @($former.proxies)) {
    $kind, $address, $port, $to, $to_port = $proxy -split '[ /]'
    & netsh.exe interface portproxy add $kind "listenport=$port" "listenaddress=$address" "connectport=$to_port" "connectaddress=$to" | Out-Null
}
