# Filters of rules: ports, addresses, programs, services. Part of NetSecurity.ps1.
# The filter of one kind that belongs to rules: -AssociatedNetFirewallRule, or of all rules.
function Get-DoubleFilter($Bound, [string]$Class, [string[]]$Keys) {
    $state = Get-DoubleState
    $names = @(if ($Bound.AssociatedNetFirewallRule) {
        $Bound.AssociatedNetFirewallRule | ForEach-Object { $_.Name }
    } else { Get-DoubleNames $state.firewall.rules })
    foreach ($name in $names) {
        $values = [ordered]@{ InstanceID = $name }
        foreach ($key in $Keys) {
            $found = $state.firewall.rules.$name.$key
            $values[$key] = $(if ($found -is [array] -and $found.Count -eq 1) { $found[0] } else { $found })
        }
        New-DoubleCim 'root/standardcimv2' $Class $values
    }
}
Body 'Get-NetFirewallPortFilter' {
    param($Bound, $Cmdlet)
    Get-DoubleFilter $Bound 'MSFT_NetProtocolPortFilter' @('Protocol','LocalPort','RemotePort','IcmpType')
}
Body 'Get-NetFirewallAddressFilter' {
    param($Bound, $Cmdlet)
    foreach ($filter in Get-DoubleFilter $Bound 'MSFT_NetAddressFilter' @('LocalAddress','RemoteAddress')) {
        # The genuine shows a network with its mask, however it was given.
        foreach ($key in 'LocalAddress','RemoteAddress') {
            $shown = @($filter.$key | ForEach-Object {
                if ($_ -match '^(\d+\.\d+\.\d+\.\d+)/(\d+)$' -and [int]$Matches[2] -lt 32) {
                    $bits = ([uint64]4294967295 -shl (32 - [int]$Matches[2])) -band [uint64]4294967295
                    $Matches[1] + '/' + (@(24, 16, 8, 0 | ForEach-Object { ($bits -shr $_) -band 255 }) -join '.')
                } else { $_ }
            })
            $filter.$key = $(if ($shown.Count -eq 1) { $shown[0] } else { $shown })
        }
        $filter
    }
}
Body 'Get-NetFirewallApplicationFilter' { param($Bound, $Cmdlet) Get-DoubleFilter $Bound 'MSFT_NetApplicationFilter' @('Program','Package') }
Body 'Get-NetFirewallServiceFilter' { param($Bound, $Cmdlet) Get-DoubleFilter $Bound 'MSFT_NetServiceFilter' @('Service') }
