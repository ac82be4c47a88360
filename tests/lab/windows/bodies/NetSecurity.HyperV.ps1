# The Hyper-V firewall, which guards WSL's virtual machine. Part of NetSecurity.ps1.
$DoubleVmKeys = 'Enabled','DefaultInboundAction','DefaultOutboundAction','LoopbackEnabled','AllowHostPolicyMerge'
function New-DoubleVmSetting([string]$Name, $Facts, [bool]$Active) {
    $defaults = @{
        Enabled = 'True'
        DefaultInboundAction = 'Block'
        DefaultOutboundAction = 'Allow'
        LoopbackEnabled = 'True'
        AllowHostPolicyMerge = 'True'
    }
    $values = [ordered]@{ Name = $Name; InstanceID = $Name; DisplayName = $Facts.DisplayName }
    foreach ($key in $DoubleVmKeys) {
        $text = if ($Active -and $Facts.$key -eq 'NotConfigured') { $defaults[$key] } else { $Facts.$key }
        $values[$key] = if ($key -like 'Default*') { [Double_NetSecurity_Action]$text } else { ConvertTo-DoubleGpo $text }
    }
    New-DoubleCim 'root/standardcimv2' 'MSFT_NetFirewallHyperVVMSetting' $values
}
function Find-DoubleVmSetting($State, $Bound, $Cmdlet) {
    if ($Bound.InputObject) { return @($Bound.InputObject | ForEach-Object { $_.Name }) }
    $all = @(Get-DoubleNames $State.firewall.hyperv)
    if (-not $Bound.Name) { return $all }
    foreach ($wanted in $Bound.Name) {
        $found = @($all | Where-Object { $_ -eq $wanted })
        if ($found) { $found } else { Write-DoubleCimNotFound $Cmdlet 'MSFT_NetFirewallHyperVVMSetting' 'Name' $wanted }
    }
}
Body 'Get-NetFirewallHyperVVMSetting' {
    param($Bound, $Cmdlet)
    $state = Get-DoubleState
    foreach ($name in Find-DoubleVmSetting $state $Bound $Cmdlet) {
        New-DoubleVmSetting $name $state.firewall.hyperv.$name ($Bound.PolicyStore -eq 'ActiveStore')
    }
}
Body 'Set-NetFirewallHyperVVMSetting' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound ($DoubleVmKeys + 'Name','InputObject','PolicyStore','PassThru')
    $names = @(Find-DoubleVmSetting (Get-DoubleState) $Bound $Cmdlet)
    Edit-DoubleState {
        param($state)
        foreach ($name in $names) {
            if ($Cmdlet.ShouldProcess($name)) {
                foreach ($key in $DoubleVmKeys) { if ($Bound.ContainsKey($key)) { $state.firewall.hyperv.$name.$key = "$($Bound[$key])" } }
            }
        }
    }
}
$DoubleVmRuleKeys = 'DisplayName','VMCreatorId','Direction','Action','Protocol','LocalPorts','RemotePorts',
    'LocalAddresses','RemoteAddresses','Enabled','Profiles'
function New-DoubleVmRule([string]$Name, $Facts) {
    $values = [ordered]@{ Name = $Name; InstanceID = $Name }
    foreach ($key in $DoubleVmRuleKeys) { $values[$key] = $Facts.$key }
    $values.Direction = [Double_NetSecurity_Direction]$Facts.Direction
    $values.Action = [Double_NetSecurity_Action]$Facts.Action
    $values.Enabled = [Double_NetSecurity_Enabled]$Facts.Enabled
    New-DoubleCim 'root/standardcimv2' 'MSFT_NetFirewallHyperVRule' $values
}
Body 'Get-NetFirewallHyperVRule' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'Name','DisplayName','VMCreatorId','PolicyStore'
    $rules = (Get-DoubleState).firewall.hyperv_rules
    foreach ($wanted in $Bound.Name) {
        if (@(Get-DoubleNames $rules) -notcontains $wanted) {
            Write-DoubleCimNotFound $Cmdlet 'MSFT_NetFirewallHyperVRule' 'InstanceID' $wanted
        }
    }
    foreach ($name in Get-DoubleNames $rules) {
        if ($Bound.Name -and $Bound.Name -notcontains $name) { continue }
        if ($Bound.VMCreatorId -and $rules.$name.VMCreatorId -ne "$($Bound.VMCreatorId)") { continue }
        if ($Bound.DisplayName -and $Bound.DisplayName -notcontains $rules.$name.DisplayName) { continue }
        New-DoubleVmRule $name $rules.$name
    }
}
Body 'New-NetFirewallHyperVRule' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound ($DoubleVmRuleKeys + 'Name','PolicyStore')
    $name = if ($Bound.Name) { $Bound.Name } else { [guid]::NewGuid().ToString('B').ToUpperInvariant() }
    if ((Get-DoubleState).firewall.hyperv_rules.PSObject.Properties[$name]) {
        Stop-Double $Cmdlet 'Windows System Error 183' 'Cannot create a file when that file already exists.' ResourceExists $name
    }
    Edit-DoubleState {
        param($state)
        $rule = [pscustomobject][ordered]@{
            DisplayName = $null
            VMCreatorId = $null
            Direction = 'Inbound'
            Action = 'Allow'
            Protocol = 'Any'
            LocalPorts = @('Any')
            RemotePorts = @('Any')
            LocalAddresses = @('Any')
            RemoteAddresses = @('Any')
            Enabled = 'True'
            Profiles = 'Any'
        }
        foreach ($key in $DoubleVmRuleKeys) {
            if ($Bound.ContainsKey($key)) {
                $rule.$key = $(if ($Bound[$key] -is [array]) { , @($Bound[$key] | ForEach-Object { "$_" }) } else { "$($Bound[$key])" })
            }
        }
        Set-DoubleValue $state.firewall.hyperv_rules $name $rule
    }
    New-DoubleVmRule $name (Get-DoubleState).firewall.hyperv_rules.$name
}
Body 'Remove-NetFirewallHyperVRule' {
    param($Bound, $Cmdlet)
    $names = @(if ($Bound.InputObject) { $Bound.InputObject | ForEach-Object { $_.Name } } else { $Bound.Name })
    Edit-DoubleState { param($state) foreach ($name in $names) { $state.firewall.hyperv_rules.PSObject.Properties.Remove($name) } }
}
